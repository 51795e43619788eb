//! Help of commands: flags under headings, defaults of the command, and a short help with common
//! flags only.

use clap::Arg;

/// Commands in the order of [`DEFAULTS`].
const COMMANDS: [&str; 4] = ["bench", "blast", "load", "ping"];

/// Defaults of shared flags, by command. From the contract of the command line.
const DEFAULTS: [(&str, [&str; 4]); 8] = [
    ("sizes", ["64,512,1472,8972", "64", "64", "64"]),
    ("engines", ["plain,batch,gso/batch", "auto; with --no-peer plain", "auto", "auto"]),
    ("time", ["500ms", "10", "10", "10"]),
    ("warmup", ["100ms", "200ms", "200ms", "200ms"]),
    ("rates", ["max,50%", "max", "1k; with --outstanding max", "as responses arrive"]),
    (
        "streams",
        [
            "as many as --threads",
            "as many as --threads",
            "as many as ids need",
            "as many as --threads",
        ],
    ),
    ("bind", ["127.0.0.1, with -6 ::1", "any", "any", "any"]),
    ("seed", ["1", "1", "a new one in each run", "a new one in each run"]),
];

/// Flags in the short help of commands that measure cells.
const COMMON: &str = "port to target reverse bidir no_peer sizes engines time count rates \
    streams threads pin bind json fail_if quiet verbose preset name names text hex lines file \
    pcap outstanding timeout";

/// Flags by heading. Flags without one are the common ones, which help shows first as `Options`.
const HEADINGS: [(&str, &str); 4] = [
    ("Schedule", "warmup bits pace trials seed"),
    ("Workers", "threads pin wait batch timestamps"),
    (
        "Sockets",
        "port to to_netns bind port_range ipv4 ipv6 dev socket_buffer connect dscp ttl df \
         broadcast join spread tcp stream",
    ),
    ("Limits", "allow_public key_file once idle_timeout max_clients max_rate max_time"),
];

/// Whether a flag is in a list of flags.
fn is_in(list: &str, id: &str) -> bool {
    list.split(' ').any(|flag| flag == id)
}

/// The flag under its heading.
pub(super) fn under_heading(arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    match HEADINGS.iter().find(|(_, flags)| is_in(flags, id)) {
        Some((heading, _)) if arg.get_help_heading().is_none() => arg.help_heading(*heading),
        _ => arg,
    }
}

/// The flag under its heading, with the default of this command, and only in the long help unless
/// it is common.
pub(super) fn of_command(command: &str, arg: Arg) -> Arg {
    let arg = under_heading(arg);
    let id = arg.get_id().as_str();
    let is_common = is_in(COMMON, id);
    let column = COMMANDS.iter().position(|name| *name == command);
    let row = DEFAULTS.iter().find(|(flag, _)| *flag == id);
    let arg = arg.hide_short_help(!is_common);
    let Some((default, help)) =
        row.zip(column).map(|((_, row), at)| row[at]).zip(arg.get_help().cloned())
    else {
        return arg;
    };
    let long = arg.get_long_help().map(|long| format!("{long}\n\n[default: {default}]"));
    let arg = arg.help(format!("{help} [default: {default}]"));
    match long {
        Some(long) => arg.long_help(long),
        None => arg,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Cli;
    use super::{COMMANDS, HEADINGS, is_in};

    /// Lines of a tall terminal window. Arbitrary.
    const LINES: usize = 60;

    #[test]
    fn short_help_fits_a_window() {
        let mut program = Cli::command().term_width(100);
        program.build();
        for command in program.get_subcommands_mut() {
            let help = command.render_help().to_string();
            let lines = help.lines().count();
            assert!(lines <= LINES, "{}: {lines} lines\n{help}", command.get_name());
            let widest = help.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(100), "{}", command.get_name());
        }
    }

    #[test]
    fn common_flags_come_first_and_others_under_headings() {
        let mut program = Cli::command();
        program.build();
        let commands = ["bench", "blast", "load", "ping", "sink", "echo", "talk"];
        let mut listed: Vec<_> = HEADINGS.iter().flat_map(|(_, ids)| ids.split(' ')).collect();
        for command in commands.iter().filter_map(|name| program.find_subcommand(name)) {
            let help = command.clone().render_long_help().to_string();
            let at = |heading: &str| help.find(&format!("\n{heading}:\n")).expect(heading);
            assert!(at("Options") < at("Sockets"), "{help}");
            for (heading, ids) in HEADINGS {
                let args = command.get_arguments().filter(|arg| is_in(ids, arg.get_id().as_str()));
                for arg in args {
                    assert_eq!(arg.get_help_heading(), Some(heading), "{}", arg.get_id());
                    listed.retain(|id| arg.get_id().as_str() != *id);
                }
            }
        }
        assert_eq!(listed, [""; 0], "no command has these");
    }

    #[test]
    fn help_shows_the_defaults_of_its_command_only() {
        let mut program = Cli::command();
        program.build();
        for command in COMMANDS.iter().filter_map(|name| program.find_subcommand(name)) {
            let help = command.clone().render_long_help().to_string();
            for other in ["bench: ", "blast: ", "load: ", "ping: ", "load, ping: "] {
                let shown = format!("[default: {other}");
                assert!(!help.contains(&shown) && !help.contains(&format!("; {other}")), "{help}");
            }
        }
    }
}
