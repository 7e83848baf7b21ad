//! Links the programs as the kernel wants them: static, without start-up files or libraries of the host, at the user
//! base. The arguments are understood by GNU ld and by lld.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../program.ld");
    println!("cargo::rerun-if-changed={script}");
    let arguments = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        &format!("-Wl,-T,{script}"),
        "-Wl,--gc-sections",
        "-Wl,--build-id=none",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,noexecstack",
        "-Wl,-z,norelro",
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
