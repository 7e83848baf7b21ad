//! Break switches: protections that a demo shows, and that the boot line can turn off (`break=NAME`).
//!
//! The demo then visibly fails, which is how one sees what the protection is for, and how a test proves that it can
//! fail. Each switch sets one flag in the part that it breaks; the flags are read where they cost nothing that could be
//! measured. A boot with a switch says so loudly.

use crate::boot::command_line::CommandLine;

struct Switch {
    name: &'static str,
    /// What no longer holds.
    effect: &'static str,
    pull: fn(),
}

const SWITCHES: &[Switch] = &[
    Switch {
        name: "cow",
        effect: "fork leaves shared pages writable: parent and child see each other's stores",
        pull: mm::space::break_copy_on_write,
    },
    Switch {
        name: "timer",
        effect: "the timer ends nobody's turn: a program that never calls the kernel keeps its CPU",
        pull: proc::sched::tick::disable_preemption,
    },
    Switch {
        name: "mappings",
        effect: "fork only copies mappings: parent and child share all their memory",
        pull: || proc::fork::set_policy(mm::space::ForkPolicy::MappingsOnly),
    },
    Switch {
        name: "leak",
        effect: "each process that ends loses a frame, which nobody ever gets again",
        pull: proc::exit::break_leak,
    },
    Switch {
        name: "share",
        effect: "whoever knows an address attaches the page there, offered or not",
        pull: proc::offers::break_share,
    },
    Switch {
        name: "shootdown",
        effect: "no other CPU is told what was unmapped: each goes on using what it remembers",
        pull: mm::flush::break_shootdown,
    },
    Switch {
        name: "usercopy",
        effect: "system calls read and write whatever address a program names, the kernel's memory too",
        pull: mm::user::break_user_copies,
    },
    Switch {
        name: "pagealloc",
        effect: "page_alloc takes any address: of the kernel's pages it makes the program's",
        pull: || {
            mm::space::break_page_alloc();
            crate::trap::vectors::break_user_page_prevention();
        },
    },
    Switch {
        name: "wx",
        effect: "programs can write what they execute, and execute what they write",
        pull: proc::spawn::break_write_xor_execute,
    },
    Switch {
        name: "guard",
        effect: "stacks grow right up to what is next to them, and run on there",
        pull: mm::space::break_guard,
    },
    Switch {
        name: "tables",
        effect: "the kernel's page table is empty: the first instruction after it is loaded is the last",
        pull: crate::boot::memory::break_map,
    },
    Switch {
        name: "zero",
        effect: "fresh pages keep what their last owner wrote",
        pull: || mm::frame::set_skip_zeroing(true),
    },
];

/// Pulls the switches that the boot line names.
pub(crate) fn pull_all(command_line: &CommandLine) {
    for name in command_line
        .values("break")
        .flat_map(|names| names.split(','))
    {
        match SWITCHES.iter().find(|switch| switch.name == name) {
            Some(switch) => {
                smp::log!("BREAK SWITCH {name}: {}", switch.effect);
                crate::device::console::message(format_args!(
                    "*** break={name}: {} ***\n",
                    switch.effect
                ));
                (switch.pull)();
            }
            None => panic!("boot line: no break switch is called {name}"),
        }
    }
}
