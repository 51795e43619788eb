//! Help of commands: headings, defaults of the command, and a short help with common flags only.

use clap::Arg;
use clap::builder::StyledStr;

/// Commands in the order of [`DEFAULTS`].
const COMMANDS: [&str; 4] = ["bench", "blast", "load", "ping"];

/// Defaults of shared flags, by command. From the contract of the command line.
const DEFAULTS: [(&str, [&str; 4]); 10] = [
    ("sizes", ["64,512,1472,8972", "64", "64", "64"]),
    ("engines", ["plain,batch,gso/batch", "auto; with --no-peer plain", "auto", "auto"]),
    ("time", ["500ms", "10", "10", "10"]),
    ("warmup", ["100ms", "200ms", "200ms", "200ms"]),
    (
        "rates",
        [
            "max,50%",
            "max",
            "50% and 80% of the capacity, see --probe; with --count 1k; with --outstanding max",
            "as responses arrive",
        ],
    ),
    ("streams", [AS_THREADS, AS_THREADS, "as many as ids need", AS_THREADS]),
    ("target", ["", "", "port of --preset", "port 7788"]),
    ("outstanding", ["", "", "open loop", "1; with --rate, open loop"]),
    ("bind", ["127.0.0.1, with -6 ::1", "any", "any", "any"]),
    ("seed", ["1", "1", "a new one in each run", "a new one in each run"]),
];

/// From the contract, too.
const AS_THREADS: &str = "as many as --threads";

/// Flags in the short help of commands that measure cells.
const COMMON: &str = "port to target reverse bidir no_peer sizes engines time count rates \
    streams threads pin bind json html live fail_if quiet verbose preset name names text hex lines \
    file pcap outstanding timeout";

/// Flags by heading. Flags without one are the common ones, which help shows first as `Options`.
const HEADINGS: [(&str, &str); 5] = [
    ("Schedule", "warmup bits pace pace_by trials seed"),
    ("Workers", "threads pin wait realtime batch timestamps xdp_mode xdp_queue"),
    (
        "Sockets",
        "port to to_netns bind source port_range ipv4 ipv6 dev socket_buffer connect dscp ttl df \
         broadcast join by_hash tcp stream",
    ),
    ("Several hosts", "single per_rank start_stagger pairs incast net"),
    ("Limits", "allow_public key_file once idle_timeout max_clients max_rate max_time"),
];

fn is_in(list: &str, id: &str) -> bool {
    list.split(' ').any(|flag| flag == id)
}

pub(super) fn under_heading(arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    match HEADINGS.iter().find(|(_, flags)| is_in(flags, id)) {
        Some((heading, _)) if arg.get_help_heading().is_none() => arg.help_heading(*heading),
        _ => arg,
    }
}

/// The flag under its heading, with the command's default; in the short help only if it is common.
pub(super) fn of_command(command: &str, arg: Arg) -> Arg {
    let arg = under_heading(arg);
    let id = arg.get_id().as_str();
    let column = COMMANDS.iter().position(|name| *name == command);
    let row = DEFAULTS.iter().find(|(flag, _)| *flag == id);
    let default = row.zip(column).map(|((_, row), at)| row[at]).filter(|row| !row.is_empty());
    let default = default.map(|default| format!("[default: {default}]"));
    let is_common = is_in(COMMON, id);
    let arg = arg.hide_short_help(!is_common);
    let (Some(default), Some(help)) = (default, arg.get_help()) else { return arg };
    let text = |help: &StyledStr| match command {
        "bench" => help.to_string(),
        _ => without_unix(&help.to_string()),
    };
    let long = arg.get_long_help().map(|long| format!("{}\n\n{default}", text(long)));
    let help = format!("{} {default}", text(help));
    let arg = arg.help(help);
    match long {
        Some(long) => arg.long_help(long),
        None => arg,
    }
}

/// Help without AF_UNIX sockets, which only bench has.
fn without_unix(help: &str) -> String {
    let help = help.replace("; bench also takes unix:PATH", "");
    let paragraphs = help.split("\n\n").filter(|text| !text.starts_with("unix:"));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::super::Cli;
    use super::{COMMANDS, HEADINGS, is_in};

    fn program() -> Command {
        let mut program = Cli::command().term_width(100);
        program.build();
        program
    }

    #[test]
    fn short_help_fits_a_window() {
        for command in program().get_subcommands_mut() {
            let help = command.render_help().to_string();
            let lines = help.lines().count();
            // A tall terminal window.
            assert!(lines <= 60, "{}: {lines} lines\n{help}", command.get_name());
            let widest = help.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(100), "{}", command.get_name());
        }
    }

    #[test]
    fn groups_flags_under_headings() {
        let mut program = program();
        let commands = [&COMMANDS[..], &["sink", "echo", "talk"]].concat();
        let mut listed: Vec<_> = HEADINGS.iter().flat_map(|(_, ids)| ids.split(' ')).collect();
        for name in commands {
            let command = program.find_subcommand_mut(name).unwrap();
            let help = command.render_long_help().to_string();
            let at = |heading: &str| help.find(&format!("\n{heading}:\n")).expect(heading);
            assert!(at("Options") < at("Sockets"), "{help}");
            for arg in command.get_arguments() {
                let id = arg.get_id().as_str();
                if let Some((heading, _)) = HEADINGS.iter().find(|(_, ids)| is_in(ids, id)) {
                    assert_eq!(arg.get_help_heading(), Some(*heading), "{id}");
                    listed.retain(|listed| id != *listed);
                }
            }
            assert_eq!(help.contains("unix:PATH"), matches!(name, "bench" | "talk"), "{help}");
        }
        assert_eq!(listed, [""; 0], "no command has these");
    }
}
