//! Frames as bytes for a terminal: ECMA-48 control sequences, which all common terminals know.

use std::convert::Infallible;
use std::fmt::Write;

use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};

/// Collects what a frame changes.
#[derive(Debug, Default)]
pub(super) struct AnsiBackend {
    text: String,
}

impl AnsiBackend {
    /// What was drawn since the last time.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn style(&mut self, cell: &Cell) {
        self.text += "\x1b[0";
        for (modifier, code) in
            [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")]
        {
            if cell.modifier.contains(modifier) {
                self.text += code;
            }
        }
        self.text += match cell.fg {
            Color::Red => ";31",
            Color::Green => ";32",
            Color::Yellow => ";33",
            Color::Magenta => ";35",
            Color::Cyan => ";36",
            _ => "",
        };
        self.text += "m";
    }
}

impl Backend for AnsiBackend {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let (mut next, mut style) = (None, None);
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.set_cursor_position((x, y))?;
            }
            if style != Some((cell.fg, cell.modifier)) {
                self.style(cell);
                style = Some((cell.fg, cell.modifier));
            }
            self.text += cell.symbol();
            next = Some((x + 1, y));
        }
        if style.is_some() {
            self.text += "\x1b[0m";
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        self.text += "\x1b[?25l";
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        self.text += "\x1b[?25h";
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        let Position { x, y } = position.into();
        // Writing to a string does not fail.
        let _ = write!(self.text, "\x1b[{};{}H", y.saturating_add(1), x.saturating_add(1));
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.text += "\x1b[2J";
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> Result<(), Infallible> {
        // Only whole screens are cleared: the viewport is all of it.
        self.clear()
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(Size::ZERO)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: Size::ZERO, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
