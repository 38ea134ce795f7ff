//! Lists of arguments.

use super::Result;
use nix::errno::Errno;
use std::ffi::{CStr, CString};

/// What parsing writes its remaining arguments to: [`Args`], or the `struct fuse_args` of a C program, which the
/// program's own callback may extend meanwhile.
pub trait ArgList {
    /// Number of arguments.
    fn len(&self) -> usize;
    /// Whether there is no argument at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The last argument.
    fn last(&self) -> Option<&CStr>;
    /// Adds an argument at the end.
    fn push(&mut self, arg: &CStr) -> Result<()>;
    /// Puts an argument before the one at `at`. EINVAL past the end.
    fn insert(&mut self, at: usize, arg: &CStr) -> Result<()>;
    /// Takes the last argument off.
    fn pop(&mut self);
}

/// An argument list as main() gets it: the program's name, then its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(pub Vec<CString>);

impl Args {
    /// The arguments, to be read.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CStr> {
        self.0.iter().map(CString::as_c_str)
    }

    /// The program's name.
    pub fn program(&self) -> Option<&CStr> {
        self.0.first().map(CString::as_c_str)
    }
}

impl<'a> FromIterator<&'a CStr> for Args {
    fn from_iter<I: IntoIterator<Item = &'a CStr>>(args: I) -> Self {
        Args(args.into_iter().map(CStr::to_owned).collect())
    }
}

impl ArgList for Args {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn last(&self) -> Option<&CStr> {
        self.0.last().map(CString::as_c_str)
    }

    fn push(&mut self, arg: &CStr) -> Result<()> {
        self.0.push(arg.to_owned());
        Ok(())
    }

    fn insert(&mut self, at: usize, arg: &CStr) -> Result<()> {
        if at > self.0.len() {
            return Err(Errno::EINVAL);
        }
        self.0.insert(at, arg.to_owned());
        Ok(())
    }

    fn pop(&mut self) {
        self.0.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insertion_keeps_to_the_list() {
        let mut args = Args::from_iter([c"prog", c"mnt"]);
        assert_eq!(args.insert(1, c"-o"), Ok(()));
        assert_eq!(args.insert(3, c"end"), Ok(()));
        assert_eq!(args.insert(5, c"x"), Err(Errno::EINVAL));
        assert_eq!(args, Args::from_iter([c"prog", c"-o", c"mnt", c"end"]));
        args.pop();
        assert_eq!((args.len(), args.last(), args.program()), (3, Some(c"mnt"), Some(c"prog")));
    }
}
