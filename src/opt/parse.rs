//! The walk over an argument list.

use super::group::{self, Escape};
use super::template::{self, Match};
use super::{ArgList, Args, Result};
use nix::errno::Errno;
use std::ffi::{CStr, CString};

/// A template and what stands for it in [`Event::Matched`].
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a, T> {
    /// What the option looks like, see [`template`].
    pub template: &'a CStr,
    /// Given to the handler.
    pub tag: T,
}

impl<'a, T> Spec<'a, T> {
    /// A template and its tag.
    pub const fn new(template: &'a CStr, tag: T) -> Self {
        Spec { template, tag }
    }
}

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The value as it was given.
    pub text: &'a CStr,
    /// How the template wants it converted, for scanf(3). That is the handler's part.
    pub conversion: &'a CStr,
}

/// What the walk met.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a, T> {
    /// An option that a template matches. It comes once for each template that does, in the order of the table.
    Matched {
        /// Of the template.
        tag: T,
        /// The whole option; a value that stood in the next argument is appended.
        arg: &'a CStr,
        /// The value, when the template has a conversion.
        value: Option<Value<'a>>,
    },
    /// An option that no template matches.
    Unknown(&'a CStr),
    /// An argument that does not start with `-`, or stands behind `--`.
    NonOption(&'a CStr),
}

/// What becomes of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays in the list.
    Keep,
    /// It leaves the list.
    Drop,
}

/// Parses a list in place: afterwards it holds the program's name, one `-o` with the options of `-o` groups that were
/// kept (escaped), and the other arguments that were kept, in their order. On an error it is as it was.
///
/// The handler may add arguments to the list that it is given, which is the new one. An empty list is left alone.
pub fn parse<T: Copy>(
    args: &mut Args,
    specs: &[Spec<'_, T>],
    handler: &mut dyn FnMut(Event<'_, T>, &mut Args) -> Result<Verdict>,
) -> Result<()> {
    let mut out = Args::default();
    let input: Vec<&CStr> = args.iter().collect();
    parse_into(&input, specs, &mut out, handler)?;
    *args = out;
    Ok(())
}

/// As [`parse()`], from one list to another. After an error the new list holds what had been kept until then.
pub fn parse_into<T: Copy, L: ArgList>(
    input: &[&CStr],
    specs: &[Spec<'_, T>],
    out: &mut L,
    handler: &mut dyn FnMut(Event<'_, T>, &mut L) -> Result<Verdict>,
) -> Result<()> {
    let Some((program, rest)) = input.split_first() else {
        return Ok(());
    };
    out.push(program)?;
    let mut walk = Walk { rest: rest.iter(), specs, out, handler, kept: None, separator: None };
    while let Some(arg) = walk.rest.next() {
        walk.argument(arg)?;
    }
    walk.finish()
}

/// Where an option stood, which is where it goes when it is kept.
#[derive(Clone, Copy)]
enum Place {
    Argument,
    Group,
}

struct Walk<'a, 'h, T, L> {
    rest: std::slice::Iter<'a, &'a CStr>,
    specs: &'a [Spec<'a, T>],
    out: &'a mut L,
    handler: &'h mut dyn FnMut(Event<'_, T>, &mut L) -> Result<Verdict>,
    /// The kept options of `-o` groups.
    kept: Option<Vec<u8>>,
    /// Length of the new list once `--` was in it.
    separator: Option<usize>,
}

impl<'a, T: Copy, L: ArgList> Walk<'a, '_, T, L> {
    fn argument(&mut self, arg: &CStr) -> Result<()> {
        if self.separator.is_some() {
            return self.tell(Event::NonOption(arg), arg, Place::Argument);
        }
        match arg.to_bytes() {
            [b'-', b'o'] => {
                let group = self.next(arg)?;
                self.group(group)
            }
            [b'-', b'o', ..] => self.group(template::tail(arg, 2)),
            [b'-', b'-'] => {
                self.out.push(arg)?;
                self.separator = Some(self.out.len());
                Ok(())
            }
            [b'-', ..] => self.option(arg, Place::Argument),
            _ => self.tell(Event::NonOption(arg), arg, Place::Argument),
        }
    }

    fn group(&mut self, group: &CStr) -> Result<()> {
        group::split(group).try_for_each(|option| self.option(&option, Place::Group))
    }

    fn option(&mut self, arg: &CStr, place: Place) -> Result<()> {
        let mut known = false;
        for spec in self.specs {
            let Some(met) = template::matches(spec.template, arg) else {
                continue;
            };
            known = true;
            self.matched(spec.tag, met, arg, place)?;
        }
        if known { Ok(()) } else { self.tell(Event::Unknown(arg), arg, place) }
    }

    fn matched(&mut self, tag: T, met: Match<'_>, arg: &CStr, place: Place) -> Result<()> {
        let joined;
        let (arg, value_at, conversion) = match met {
            Match::Plain => (arg, 0, None),
            Match::Value { value_at, conversion } => (arg, value_at, conversion),
            Match::Next { value_at, conversion } => {
                let value = self.next(arg)?;
                joined = CString::new([arg.to_bytes(), value.to_bytes()].concat()).map_err(|_| Errno::EINVAL)?;
                (joined.as_c_str(), value_at, conversion)
            }
        };
        let value = conversion.map(|conversion| Value { text: template::tail(arg, value_at), conversion });
        self.tell(Event::Matched { tag, arg, value }, arg, place)
    }

    /// The next argument, which is the value of this one.
    fn next(&mut self, arg: &CStr) -> Result<&'a CStr> {
        self.rest.next().copied().ok_or_else(|| {
            log::error!("option '{}' is the last argument but needs a value after it", arg.to_string_lossy());
            Errno::EINVAL
        })
    }

    fn tell(&mut self, event: Event<'_, T>, arg: &CStr, place: Place) -> Result<()> {
        match ((self.handler)(event, self.out)?, place) {
            (Verdict::Drop, _) => {}
            (Verdict::Keep, Place::Argument) => self.out.push(arg)?,
            (Verdict::Keep, Place::Group) => group::append(self.kept.get_or_insert_default(), arg, Escape::Yes),
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if let Some(group) = self.kept {
            let group = CString::new(group).map_err(|_| Errno::EINVAL)?;
            self.out.insert(1, c"-o")?;
            self.out.insert(2, &group)?;
        }
        // Nothing was kept behind `--`: it goes too. (With a group in front of it it stays, as in libfuse.)
        if self.separator == Some(self.out.len()) && self.out.last() == Some(c"--") {
            self.out.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Tag {
        Drop,
        Keep,
        Name,
    }

    const SPECS: [Spec<'static, Tag>; 4] = [
        Spec::new(c"-x", Tag::Drop),
        Spec::new(c"keep", Tag::Keep),
        Spec::new(c"-n %s", Tag::Name),
        Spec::new(c"name=%s", Tag::Name),
    ];

    /// The list after parsing, and the values of Name.
    fn run(args: &[&CStr]) -> (Result<()>, Vec<CString>, Vec<String>) {
        let mut args: Args = args.iter().copied().collect();
        let mut names = Vec::new();
        let result = parse(&mut args, &SPECS, &mut |event, _| match event {
            Event::Matched { tag: Tag::Name, value, .. } => {
                names.push(value.unwrap().text.to_string_lossy().into_owned());
                Ok(Verdict::Drop)
            }
            Event::Matched { tag: Tag::Drop, .. } => Ok(Verdict::Drop),
            Event::NonOption(arg) if arg == c"bad" => Err(Errno::EINVAL),
            _ => Ok(Verdict::Keep),
        });
        (result, args.0, names)
    }

    fn list(args: &[&CStr]) -> Vec<CString> {
        args.iter().map(|a| (*a).to_owned()).collect()
    }

    #[test]
    fn kept_options_of_groups_come_first_and_escaped() {
        let (result, args, names) = run(&[c"p", c"mnt", c"-okeep,name=a,y\\,z", c"-x", c"-o", c"w", c"-q"]);
        assert_eq!(result, Ok(()));
        assert_eq!(args, list(&[c"p", c"-o", c"keep,y\\,z,w", c"mnt", c"-q"]));
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn a_value_may_stand_apart() {
        assert_eq!(run(&[c"p", c"-n", c"v", c"-nw", c"-n", c"-x"]).2, ["v", "w", "-x"]);
        for last in [c"-n", c"-o"] {
            let (result, args, _) = run(&[c"p", c"-x", last]);
            assert_eq!((result, args), (Err(Errno::EINVAL), list(&[c"p", c"-x", last])));
        }
    }

    #[test]
    fn separator_goes_when_it_is_last() {
        assert_eq!(run(&[c"p", c"-x", c"--"]).1, list(&[c"p"]));
        assert_eq!(run(&[c"p", c"--", c"-x", c"-oa"]).1, list(&[c"p", c"--", c"-x", c"-oa"]));
        assert_eq!(run(&[c"p", c"-oa", c"--"]).1, list(&[c"p", c"-o", c"a", c"--"]));
    }

    #[test]
    fn an_error_leaves_the_list_as_it_was() {
        let (result, args, _) = run(&[c"p", c"-x", c"bad"]);
        assert_eq!((result, args), (Err(Errno::EINVAL), list(&[c"p", c"-x", c"bad"])));
    }

    #[test]
    fn an_empty_list_stays_empty() {
        assert_eq!(run(&[]).1, list(&[]));
    }

    #[test]
    fn every_matching_template_is_told() {
        let mut args = Args::from_iter([c"p", c"-d"]);
        let specs = [Spec::new(c"-d", 1), Spec::new(c"-e", 2), Spec::new(c"-d", 3)];
        let mut tags = Vec::new();
        let result = parse(&mut args, &specs, &mut |event, _| {
            if let Event::Matched { tag, .. } = event {
                tags.push(tag);
            }
            Ok(Verdict::Keep)
        });
        assert_eq!((result, tags, args.len()), (Ok(()), vec![1, 3], 3));
    }
}
