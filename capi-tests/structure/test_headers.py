"""The headers: fresh, each usable alone, in C and C++, for every API version."""

import shutil
import subprocess

import pytest
from surface import HEADERS, INCLUDE, REPO, run

USE_VERSIONS = [30, 31, 32, 34, 35, 312, 314, 317, 319]
STRICT = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror"]
COMPILERS = {
    "gcc-c99": ["gcc", "-std=c99", "-D_GNU_SOURCE", *STRICT],
    "gcc-gnu17": ["gcc", "-std=gnu17", *STRICT],
    "clang-c11": ["clang", "-std=c11", "-D_GNU_SOURCE", *STRICT],
    "clang-gnu17": ["clang", "-std=gnu17", *STRICT],
    "g++-17": ["g++", "-std=c++17", "-x", "c++", *(flag for flag in STRICT if "prototypes" not in flag)],
    "clang++-17": ["clang++", "-std=c++17", "-x", "c++", *(flag for flag in STRICT if "prototypes" not in flag)],
}
AS_INSTALLED = ["-I", INCLUDE / "fuse3", "-I", INCLUDE]


def compile_text(compiler, text, folder, *flags):
    """Compiles a text and gives what the compiler said against it."""
    if not shutil.which(COMPILERS[compiler][0]):
        pytest.skip(f"{COMPILERS[compiler][0]} is not installed")
    source = folder / "program.c"
    source.write_text(text)
    command = [*COMPILERS[compiler], *flags, source]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=100)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_header_alone(compiler, tmp_path):
    failures = []
    for version in USE_VERSIONS:
        for header in HEADERS:
            # Twice: the second time shows that the guard works.
            text = f"#define FUSE_USE_VERSION {version}\n#include <{header}>\n#include <{header}>\nint x;\n"
            failures.append(compile_text(compiler, text, tmp_path, *AS_INSTALLED))
    assert not any(failures), "".join(failures)


@pytest.mark.parametrize("style", ["<fuse_lowlevel.h>", "<fuse3/fuse_lowlevel.h>"])
@pytest.mark.parametrize("folders", [AS_INSTALLED, AS_INSTALLED[2:]], ids=["pkg-config", "include"])
def test_both_include_styles(style, folders, tmp_path):
    """And it is really ours that is found, not the system's."""
    text = f"#define FUSE_USE_VERSION 35\n#include {style}\n#ifndef FUSEWIRE_VERSION\n#error not ours\n#endif\nint x;\n"
    assert compile_text("gcc-gnu17", text, tmp_path, *folders) == ""


@pytest.mark.parametrize("definition, complaint", [("", "FUSE_USE_VERSION"), ("#define FUSE_USE_VERSION 26\n", "30")])
def test_use_version_is_required(definition, complaint, tmp_path):
    report = compile_text("gcc-gnu17", f"{definition}#include <fuse_lowlevel.h>\n", tmp_path, *AS_INSTALLED)
    assert "#error" in report and complaint in report


USES = """
#define FUSE_USE_VERSION %d
#include <fuse_lowlevel.h>
#if !defined(FUSE_CAP_SPLICE_READ) || !(FUSE_CAP_ALLOW_IDMAP > FUSE_CAP_OVER_IO_URING) || FUSE_SET_ATTR_MODE != 1
#error constants do not work in #if
#endif
#if FUSEWIRE_VERSION < FUSE_MAKE_VERSION(1, 0) || FUSE_VERSION != 319 || !defined(LIBFUSE_BUILT_WITH_VERSIONED_SYMBOLS)
#error versions
#endif
#if FUSE_ROOT_ID != 1 || FUSE_IOCTL_MAX_IOV != 256 || FUSE_BACKING_STACKED_OVER != 1 || FUSE_OPT_KEY_DISCARD != -4
#error constants
#endif
struct conf { char *name; int level; };
static const struct fuse_opt options[] = {
    { "name=%%s", offsetof(struct conf, name), 0 }, FUSE_OPT_KEY("-x", 7), FUSE_OPT_END };
#if FUSE_USE_VERSION < 35
static void on_ioctl(fuse_req_t r, fuse_ino_t i, int c, void *a, struct fuse_file_info *f, unsigned fl,
                     const void *in, size_t is, size_t os)
#else
static void on_ioctl(fuse_req_t r, fuse_ino_t i, unsigned c, void *a, struct fuse_file_info *f, unsigned fl,
                     const void *in, size_t is, size_t os)
#endif
{ (void)r; (void)i; (void)c; (void)a; (void)f; (void)fl; (void)in; (void)is; (void)os; }
static void on_log(enum fuse_log_level level, const char *fmt, va_list ap) { (void)level; (void)fmt; (void)ap; }
int use(int argc, char **argv);
int use(int argc, char **argv) {
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_bufvec buffers = FUSE_BUFVEC_INIT(17);
    struct fuse_lowlevel_ops ops = { 0 };
    struct fuse_file_info file = { 0 };
    struct fuse_conn_info conn = { 0 };
    enum fuse_buf_flags flags = FUSE_BUF_IS_FD;
    enum fuse_buf_copy_flags copy = FUSE_BUF_SPLICE_MOVE;
    enum fuse_notify_entry_flags entry = FUSE_LL_EXPIRE_ONLY;
#if FUSE_USE_VERSION < 312
    struct fuse_loop_config config;
    config.clone_fd = 1;
    config.max_idle_threads = 2;
#else
    struct fuse_loop_config *config = NULL;
    struct fuse_loop_config_v1 old;
    old.clone_fd = 0;
    (void)old;
#endif
    (void)config;
    ops.ioctl = on_ioctl;
    file.keep_cache = 1;
    file.parallel_direct_writes = 1;
    conn.want_ext = FUSE_CAP_ALLOW_IDMAP;
    buffers.buf[0].flags = flags;
    fuse_set_log_func(on_log);
    fuse_log(FUSE_LOG_INFO, "%%s\\n", "text");
    return args.argc + (ops.ioctl == on_ioctl) + (int)copy + (int)entry + (int)options[1].offset + (int)buffers.count
        + (int)file.noflush + (int)conn.want;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("version", USE_VERSIONS)
def test_a_program_may_use_it(compiler, version, tmp_path):
    text = USES % version
    if "++" in compiler:
        text = text.replace("{ 0 }", "{ }")
    assert compile_text(compiler, text, tmp_path, *AS_INSTALLED) == ""


DEVICE = """
#define FUSE_USE_VERSION %d
#include <cuse_lowlevel.h>
#if CUSE_UNRESTRICTED_IOCTL != 1
#error constants do not work in #if
#endif
#if FUSE_USE_VERSION < 319
typedef int cmd_t;
#else
typedef unsigned int cmd_t;
#endif
static void on_ioctl(fuse_req_t r, cmd_t c, void *a, struct fuse_file_info *f, unsigned fl, const void *in, size_t is,
                     size_t os)
{ (void)r; (void)c; (void)a; (void)f; (void)fl; (void)in; (void)is; (void)os; }
int use(int argc, char **argv);
int use(int argc, char **argv) {
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    const char *strings[] = { "DEVNAME=x" };
    struct cuse_info info = { 0 };
    struct cuse_lowlevel_ops ops = { 0 };
    struct fuse_session *se;
    int multithreaded;
    info.dev_info_argc = 1;
    info.dev_info_argv = strings;
    ops.ioctl = on_ioctl;
    se = cuse_lowlevel_new(&args, &info, &ops, NULL);
    if (se == NULL)
        se = cuse_lowlevel_setup(argc, argv, &info, &ops, &multithreaded, NULL);
    cuse_lowlevel_teardown(se);
    return cuse_lowlevel_main(argc, argv, &info, &ops, NULL);
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("version", USE_VERSIONS)
def test_a_program_may_make_a_device(compiler, version, tmp_path):
    text = DEVICE % version
    if "++" in compiler:
        text = text.replace("{ 0 }", "{ }")
    assert compile_text(compiler, text, tmp_path, *AS_INSTALLED) == ""


def test_format_is_checked(tmp_path):
    text = '#include <fuse_log.h>\nvoid f(void);\nvoid f(void) { fuse_log(FUSE_LOG_ERR, "%s\\n", 1); }\n'
    assert "format" in compile_text("gcc-gnu17", text, tmp_path, *AS_INSTALLED)


@pytest.mark.timeout(900)
def test_generated_files_are_fresh():
    """Compiling the generator takes a minute or more where nobody has done it yet."""
    run("cargo", "run", "-q", "-p", "headergen", "--", "--check", cwd=REPO, timeout=800)
