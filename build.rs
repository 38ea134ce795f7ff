//! Gives the shared library its soname and symbol version nodes, and lays out `target/<profile>` so that it can be
//! used in place: soname links beside the library and a pkg-config file that points at them.
//!
//! Both packages run it; `fusewire-so3` builds `libfuse3.so.3`, the root package `libfuse3.so.4`.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let (soname, root) = if var("CARGO_PKG_NAME").ends_with("so3") {
        ("3", manifest.parent().expect("so3 stands in the workspace").to_path_buf())
    } else {
        ("4", manifest)
    };
    let nodes = root.join("src/capi/nodes.map");
    let first = root.join("src/capi/first.ld");
    println!("cargo:rustc-cfg=soname=\"{soname}\"");
    println!("cargo:rerun-if-changed={}", nodes.display());
    println!("cargo:rerun-if-changed={}", first.display());
    link_args(soname, &nodes, &first);
    if let Some(profile) = profile_dir() {
        use_in_place(soname, &root, &profile);
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|e| panic!("cargo sets {name}: {e}"))
}

/// lld is needed: rustc passes a version script of its own, and GNU ld refuses a second one. The toolchain's own lld
/// serves where it has one, so that nothing needs to be installed.
fn link_args(soname: &str, nodes: &Path, first: &Path) {
    let arg = |a: &str| println!("cargo:rustc-cdylib-link-arg={a}");
    let sysroot = Command::new(var("RUSTC")).args(["--print", "sysroot"]).output().expect("rustc runs");
    let bundled = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim())
        .join("lib/rustlib")
        .join(var("HOST"))
        .join("bin/gcc-ld");
    if bundled.join("ld.lld").exists() {
        arg(&format!("-B{}", bundled.display()));
    }
    arg("-fuse-ld=lld");
    arg(&format!("-Wl,-soname,libfuse3.so.{soname}"));
    arg(&format!("-Wl,--version-script={}", nodes.display()));
    // Not to be unloaded: a signal handler and destructors of threads' variables outlive what a plug-in does with it.
    arg("-Wl,-z,relro,-z,now,-z,nodelete");
    // Text that a daemon needs to start lies together, see benches/order.py.
    arg(&format!("-Wl,-T,{}", first.display()));
}

/// `target/<profile>`, found upwards from OUT_DIR (`target/<profile>/build/<package>/out`).
fn profile_dir() -> Option<PathBuf> {
    PathBuf::from(var("OUT_DIR")).ancestors().nth(3).map(Path::to_path_buf)
}

fn use_in_place(soname: &str, root: &Path, profile: &Path) {
    let link = |target: &str, name: &str| {
        let path = profile.join(name);
        let _ = fs::remove_file(&path);
        symlink(target, &path).unwrap_or_else(|e| panic!("link {}: {e}", path.display()));
    };
    if soname == "3" {
        return link("libfuse3_so3.so", "libfuse3.so.3");
    }
    link("libfuse3.so", "libfuse3.so.4");
    let template = root.join("pkgconfig/fuse3.pc.in");
    println!("cargo:rerun-if-changed={}", template.display());
    let Ok(text) = fs::read_to_string(&template) else { return };
    let dir = profile.join("pkgconfig");
    fs::create_dir_all(&dir).expect("target is writable");
    let text = text
        .replace("@prefix@", &profile.display().to_string())
        .replace("@libdir@", &profile.display().to_string())
        .replace("@includedir@", &root.join("include").display().to_string());
    fs::write(dir.join("fuse3.pc"), text).expect("target is writable");
}
