//! The memory view: a live picture of memory, processes and CPUs.
//!
//! With `memview=on` a thread of the kernel keeps it in the upper rows of the screen; the kernel shell's `memview`
//! shows it there and on the serial line until a key is pressed. What is seen comes from [`survey`], what is drawn from
//! the crate `memview`.

mod cpus;
mod survey;

use alloc::boxed::Box;

use ::memview::{Picture, layout};
use mm::NoMemory;
use mm::frame;
use proc::sched::load;
use proc::sleep::sleep_ns;

use self::cpus::CpuTimes;
use self::survey::Survey;
use crate::boot::command_line::CommandLine;
use crate::device::screen;

/// How long it is from one drawing to the next.
pub(crate) const DRAWING_DISTANCE_NS: u64 = 100_000_000;
/// How many drawings show the virtual map of the same process.
const DRAWINGS_PER_PROCESS: u32 = 10;

/// What keeps a picture up to date.
pub(crate) struct View {
    survey: Survey,
    cpus: CpuTimes,
    picture: Picture,
    /// Drawings until the next process is shown.
    drawings_left: u32,
}

impl View {
    /// A view with a blank picture. From now on the kernel counts how long CPUs halt.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(crate) fn new() -> Result<Box<View>, NoMemory> {
        load::keep();
        mm::heap::try_box(View {
            survey: Survey::new()?,
            cpus: CpuTimes::new(),
            picture: Picture::new()?,
            drawings_left: DRAWINGS_PER_PROCESS,
        })
    }

    /// The picture as it was last drawn.
    pub(crate) fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Looks again, and draws what was seen. Takes no memory, and waits for nobody.
    pub(crate) fn draw(&mut self) {
        let is_complete = self.survey.advance();
        self.drawings_left = self.drawings_left.saturating_sub(1);
        if is_complete {
            let accounts = frame::accounts();
            layout::draw_physical(
                &mut self.picture,
                self.survey.physical(),
                accounts.total as u64,
            );
            let shown = self.survey.shown();
            layout::draw_virtual(
                &mut self.picture,
                self.survey.virtual_map(),
                shown.as_ref().map(survey::Seen::named),
            );
            if self.drawings_left == 0 || shown.is_none() {
                self.survey.show_next();
                self.drawings_left = DRAWINGS_PER_PROCESS;
            }
        }
        self.cpus.draw(&mut self.picture);
    }
}

/// Whether the boot line asks for the view on the screen.
pub(crate) fn is_asked_for(command_line: &CommandLine) -> bool {
    command_line.is_first_of("memview", ["on", "off"])
}

/// The thread that shows the view on the screen.
pub(crate) fn show_on_screen() -> i32 {
    let Ok(mut view) = View::new() else {
        return 1;
    };
    while sleep_ns(DRAWING_DISTANCE_NS).is_ok() {
        view.draw();
        screen::show_above(view.picture());
    }
    0
}
