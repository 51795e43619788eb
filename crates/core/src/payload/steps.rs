//! Compiles the second requests of exchanges.

use super::PayloadError;
use super::compile::Compiler;
use super::lines::LARGE_FILE;
use super::protocol::{Follow, Matching, Rule};
use super::requests::{IdAt, RequestOrder, Requests};
use super::second::{SecondRequest, Then};
use super::spec::{MatchRule, RequestSource, Spec};
use super::template::{self, TemplateBody};

impl Spec {
    /// Compiles the second request, if there is one, and adapts the first ones to it: both lengths
    /// fit a slot, and ids have as many bits as fit both.
    pub fn compile_second(
        &self,
        seed: u64,
        requests: &mut Requests,
        matching: &mut Matching,
    ) -> Result<Option<SecondRequest>, PayloadError> {
        let (pieces, follow) = match (&self.source, &self.then) {
            (_, Some(Then { template, is_hex, only_if })) => {
                let body =
                    if *is_hex { TemplateBody::Hex } else { TemplateBody::Text(self.encoding) };
                let follow = Follow::Once { only_if: only_if.clone(), abort: None };
                (template::parse(template.as_bytes(), body, true, !seed)?, follow)
            }
            (RequestSource::Preset(preset), None) => match preset.second()? {
                // What is matched otherwise is no message of CoAP.
                Some((_, Follow::Blocks(blocks)))
                    if blocks.most == 1 && matching.rule != Rule::Protocol =>
                {
                    return Ok(None);
                }
                Some(second) => second,
                None => return Ok(None),
            },
            (_, None) => return Ok(None),
        };
        // The user has written no second request, which an error could ask to change.
        let preset_rule = || PayloadError::PresetRule {
            rule: self.rule.to_string(),
            hint: if matches!(follow, Follow::Blocks(_)) { ", or --blocks" } else { "" },
        };
        let mut to = Compiler::new(!seed, RequestOrder::Turns, LARGE_FILE);
        to.line(&pieces)?;
        let (second, id_place) = to.finish()?;
        let (only_if, has_end) = match &follow {
            Follow::Once { only_if, abort } => (only_if.is_some(), abort.is_some()),
            Follow::Blocks(_) => (true, false),
        };
        let rule = match (matching.rule, id_place?) {
            // Acknowledgements are not answered.
            (Rule::Protocol, _) if has_end => Rule::None,
            (Rule::Protocol, _) if self.then.is_none() => Rule::Protocol,
            (Rule::Any, None) if !only_if => return Err(PayloadError::EqualSteps),
            (Rule::Any, Some(_)) if self.then.is_none() => return Err(preset_rule()),
            (Rule::Any, Some(_)) => return Err(PayloadError::SecondId),
            (Rule::Any, None) => Rule::Any,
            (Rule::Id(at), None) => Rule::Id(at),
            (Rule::Id(first), Some(at)) => {
                let bits = requests.id_bits.min(second.id_bits);
                requests.id_bits = bits;
                matching.id_mask = requests.id_mask();
                let is_fixed = matches!(self.rule, MatchRule::IdAt(_));
                Rule::Id(if is_fixed { IdAt { number: at.number, ..first } } else { at })
            }
            _ if self.then.is_none() => return Err(preset_rule()),
            _ => return Err(PayloadError::ThenRule { rule: self.rule.to_string() }),
        };
        let matching = Matching { rule, ..matching.clone() };
        let is_required = self.then.is_some();
        let second = SecondRequest { requests: second, matching, follow, is_required };
        if second.is_sent_as_request() {
            requests.largest = requests.largest.max(second.largest());
            requests.same_len = None;
        }
        Ok(Some(second))
    }
}
