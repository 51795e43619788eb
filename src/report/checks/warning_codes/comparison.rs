//! Codes of `udperf compare` and `udperf ab`.

use super::{by_message, codes};

codes! { COMPARISON;
    TOO_FEW_RUNS "too_few_runs" Major by_message,
        "too few runs for any verdict",
        "A test over so few runs cannot become significant. Measure with more --trials.";
    MISSING_CELLS "missing_cells" Major by_message,
        "cells of the base are missing in the new runs",
        "The comparison is undecided. Measure them too.";
    TWO_MACHINES "two_machines" Major by_message,
        "the runs are from different machines",
        "The difference of the machines may be the whole effect.";
    NOT_INTERLEAVED "not_interleaved" Minor by_message,
        "all runs of one side were made before those of the other",
        "Everything that changed in between counts as the effect. `udperf ab` interleaves.";
    NOISE_UNKNOWN "noise_unknown" Minor by_message,
        "the noise floor (A/A) of this machine is not known",
        "Only the tolerance decides which differences count. `udperf ab` without --a and --b \
         measures the noise floor.";
    SAME_RUNS "same_runs" Minor by_message,
        "some runs are on both sides",
        "They make the sides look more alike than they are.";
    NEW_WARNING "new_warning" Minor by_message,
        "the new runs have a warning that the base does not have",
        "Its cause may be the cause of the difference. See its code with `udperf explain`.";
    LEFT_OUT "left_out" Info by_message,
        "a metric is not compared",
        "The message says why.";
    UNEVEN "uneven" Info by_message,
        "the sides have different numbers of runs",
        "The last round was not finished.";
}
