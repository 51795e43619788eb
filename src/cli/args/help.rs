//! Help that differs by command: its own defaults, and a short help with common flags only.

use clap::Arg;

/// Commands in the order of [`DEFAULTS`].
const COMMANDS: [&str; 4] = ["bench", "blast", "load", "ping"];

/// Defaults of shared flags, by command. As the contract of the command line has them.
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
const COMMON: [&str; 29] = [
    "port",
    "to",
    "target",
    "reverse",
    "bidir",
    "no_peer",
    "sizes",
    "engines",
    "time",
    "count",
    "rates",
    "streams",
    "threads",
    "pin",
    "bind",
    "json",
    "fail_if",
    "quiet",
    "verbose",
    "preset",
    "name",
    "names",
    "text",
    "hex",
    "lines",
    "file",
    "pcap",
    "outstanding",
    "timeout",
];

/// The flag with the default of this command, and only in the long help unless it is common.
pub(super) fn of_command(command: &str, arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    let is_common = COMMON.contains(&id);
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
    use super::COMMANDS;

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
