//! The CPUs at boot: the boot CPU's own parts, then all others.
