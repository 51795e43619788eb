# A formula for a tap. packaging/source replaces the words between @ for each release.
class Udperf < Formula
  desc "UDP benchmark and load generator that accounts for every datagram"
  homepage "@HOMEPAGE@"
  url "@URL@"
  version "@VERSION@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"udperf", "completions", shells: [:bash, :zsh, :fish])
    system bin/"udperf", "man", "--dir", buildpath/"man1"
    man1.install Dir["man1/*.1"]
  end

  test do
    command = "bench -B 127.0.0.1 -e plain -l 64 -n 100 --warmup 0 -r 1k -q"
    assert_match "sent 100 = received 100", shell_output("#{bin}/udperf #{command}")
  end
end
