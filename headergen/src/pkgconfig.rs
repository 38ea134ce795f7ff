//! `fuse3.pc`, with placeholders for what the build or the installation knows.

use crate::surface::Surface;
use crate::{Output, Result};

/// What a static link needs besides: `rustc --print native-static-libs` without -lc and without -lgcc_s, for which cc
/// itself puts in -lgcc_eh where the whole program is static. A test links against libfuse3.a with it.
const STATIC_LIBS: &str = "-lutil -lrt -lm -ldl";

/// The template of which build.rs makes a file for use in place.
pub fn generate(surface: &Surface) -> Result<Output> {
    let version = surface.version()?;
    // Both folders: programs write <fuse_lowlevel.h> as well as <fuse3/fuse_lowlevel.h>. And -lpthread, because
    // programs that start threads have always got it from here.
    let text = format!(
        "prefix=@prefix@\n\
         libdir=@libdir@\n\
         includedir=@includedir@\n\
         \n\
         Name: fuse3\n\
         Description: File systems in user space: fusewire, with the C interface of libfuse\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}/fuse3 -I${{includedir}}\n\
         Libs: -L${{libdir}} -lfuse3 -lpthread\n\
         Libs.private: {STATIC_LIBS}\n"
    );
    Ok(Output::new("pkgconfig/fuse3.pc.in", text))
}
