use crate::payload::hints::{encoding, field, format, match_rule, reply_rule};

#[test]
fn the_nearest_right_word_is_first_in_errors() {
    for (found, expected) in [
        (field("rnadom:4"), "did you mean {random}? "),
        (field("reply@a"), "did you mean {reply@OFFSET}? "),
        (field("sequence"), ""),
        (format("counter:start=1:u24bx"), "did you mean {counter:start=1:u24be}? "),
        (format("time:rfc339"), "did you mean {time:rfc3339}? "),
        (encoding("utf8x"), "did you mean utf8? "),
        (match_rule("dsn"), "did you mean dns? "),
        (match_rule("idd@4"), "did you mean id? "),
        (match_rule("aftr:x"), "did you mean after? "),
        (reply_rule("prefx:a"), "did you mean prefix? "),
        (reply_rule("hex@:00"), ""),
    ] {
        assert_eq!(found, expected);
    }
}
