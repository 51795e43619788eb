//! Output formats: each renders a document.

pub mod csv;
pub mod hdr;
pub mod html;
pub mod junit;
pub mod markdown;
mod markup;
pub mod text;
