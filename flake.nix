# nix run .  builds and runs udperf; nix profile install .  installs it.
{
  description = "UDP benchmark and load generator that accounts for every datagram";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = build: nixpkgs.lib.genAttrs systems (system: build nixpkgs.legacyPackages.${system});
      manifest = (nixpkgs.lib.importTOML ./Cargo.toml).package;
    in {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          version = manifest.version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          # Tests make network namespaces and start servers.
          doCheck = false;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            $out/bin/udperf man --dir man1
            installManPage man1/*.1
            for shell in bash zsh fish; do
              $out/bin/udperf completions $shell >udperf.$shell
            done
            installShellCompletion udperf.bash udperf.zsh udperf.fish
          '';
          meta = {
            description = manifest.description;
            license = with pkgs.lib.licenses; [ mit asl20 ];
            mainProgram = "udperf";
          };
        };
      });
    };
}
