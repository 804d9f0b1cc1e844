//! Power cuts: the witness, or a broker and its clients, runs in a machine of user-mode-linux with a
//! disk of its own, and the machine is killed from outside. What its kernel had not written to the
//! disk is gone.
//!
//! The controls use disks that are never synced and have to lose something, or the cuts prove
//! nothing.

use std::env;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sampan_tests::chance::Chance;
use sampan_tests::check::Report;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::full;
use crate::report::Said;

/// What is cut off.
struct Subject {
    name: &'static str,
    /// Cuts of a full run, and of a short one.
    cuts: [u64; 2],
    cuts_per_disk: u64,
    /// Cuts of a disk before it is looked at.
    cuts_per_look: u64,
    /// What the machine does until it is cut off, and without syncs.
    uses: [&'static str; 2],
    /// What looks at the disk.
    looks: &'static str,
    /// Whether a group consumes.
    has_group: bool,
}

const LOG: Subject = Subject {
    name: "power cuts of a log",
    cuts: [50, 4],
    cuts_per_disk: 10,
    cuts_per_look: 10,
    uses: ["write", "write-careless"],
    looks: "drain",
    has_group: false,
};

const BROKER: Subject = Subject {
    name: "power cuts of the broker",
    cuts: [50, 3],
    cuts_per_disk: 5,
    cuts_per_look: 1,
    uses: ["use", "use-careless"],
    looks: "consume",
    has_group: true,
};

/// Names how many cuts there are, if not as many as usual.
const CUTS: &str = "CRASH_CUTS";
const CONTROL_CUTS: u64 = 3;
/// Disks that are never synced, at most.
const CONTROLS: u64 = 5;
const DISK_BYTES: u64 = 128 << 20;
/// How long a machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a console that are told when it goes wrong.
const LINES_TOLD: usize = 9;
/// What leaves the wide registers alone, which the machine does not keep apart.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,\
    -AVX_Usable,-AVX2_Usable,-AVX512F_Usable,-AVX_Fast_Unaligned_Load";
/// The same for the cryptography.
const CAPABILITIES: &str = "~0x1000000000000000:~0x00010020";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crash/power")
}

/// The kernel to boot, which `scripts/setup.sh power` installs.
fn kernel() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join("linux.uml")).find(|kernel| kernel.exists())
}

/// The broker, as it was built beside this program.
fn broker() -> PathBuf {
    let program = env::current_exe().expect("this program");
    program.ancestors().nth(2).expect("the folder of the build").join("sampan")
}

/// A new disk with an empty file system.
fn disk(at: &Path) -> PathBuf {
    let image = at.join("disk");
    File::create(&image).and_then(|file| file.set_len(DISK_BYTES)).expect("a disk");
    // Where it is on Debian, whoever runs this.
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let made = Command::new("mkfs.ext4").env("PATH", path).arg("-q").arg(&image).status();
    assert!(made.expect("mkfs.ext4 runs").success(), "no file system");
    image
}

/// A machine; killing it kills all that is in it.
struct Machine(Child);

impl Machine {
    fn boot(kernel: &Path, image: &Path, role: &str, seed: u64) -> Self {
        let program = env::current_exe().expect("this program");
        let mut command = Command::new("python3");
        command.arg(folder().join("enter.py")).arg(kernel);
        command.args(["mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]);
        command.args(["con=null", "con0=fd:0,fd:1", "quiet"]);
        command.arg(format!("init={}", folder().join("init.sh").display()));
        command.arg(format!("ubd0={}", image.display()));
        command.arg(format!("PROGRAM={}", program.display()));
        command.arg(format!("ROLE={role}")).arg(format!("SEED={seed}"));
        command.arg(format!("BROKER={}", broker().display()));
        command.arg(format!("KERNEL={}", kernel.display()));
        command.arg(format!("GLIBC_TUNABLES={TUNABLES}"));
        command.arg(format!("OPENSSL_ia32cap={CAPABILITIES}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Machine(command.process_group(0).spawn().expect("python3 runs"))
    }

    fn cut(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.0.wait();
    }

    /// Everything that is said until the machine ends; it is cut off `after` it is ready, if that is
    /// given, and in any case if it says nothing any more.
    fn listen(mut self, said: &mut Said, after: Option<Duration>) -> Result<(), String> {
        let out = BufReader::new(self.0.stdout.take().ok_or("no console")?);
        let (tell, told) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut out = out;
            let mut line = Vec::new();
            while out.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let text = String::from_utf8_lossy(&line);
                // A line that was not ended was not said.
                if let Some(whole) = text.strip_suffix('\n') {
                    let _ = tell.send(whole.trim_end_matches('\r').to_owned());
                }
                line.clear();
            }
        });
        let mut heard = Vec::new();
        let ended = loop {
            match told.recv_timeout(PATIENCE) {
                Ok(line) if line == "ready" && after.is_some() => {
                    thread::sleep(after.unwrap_or_default());
                    break Ok(());
                }
                Ok(line) => heard.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) if after.is_none() => break Ok(()),
                Err(error) => break Err(error.to_string()),
            }
        };
        self.cut();
        reader.join().map_err(|_| "the reader failed")?;
        heard.extend(told.try_iter());
        heard.iter().for_each(|line| said.hear(line));
        let ended = match after {
            None if !said.drained => Err("the disk was not read to its end".to_owned()),
            _ => ended,
        };
        ended.map_err(|error| {
            let last: Vec<_> = heard[heard.len().saturating_sub(LINES_TOLD)..].to_vec();
            format!("{error}; the last that was said: {last:#?}")
        })
    }
}

/// Cuts one disk's power so often, and looks at what it holds, until that is wrong. What was found
/// at last, and what was said.
fn cuts(
    kernel: &Path,
    subject: &Subject,
    role: &str,
    count: u64,
    chance: &mut Chance,
) -> Result<(Report, Said), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let image = disk(directory.path());
    let mut said = Said::default();
    let mut report = Report::default();
    // Each boot is told a number of its own.
    let mut boots = 1..;
    let mut boot = |role| Machine::boot(kernel, &image, role, boots.next().unwrap_or(0));
    for number in 1..=count {
        let after = Duration::from_millis(chance.between(&(50..=800)));
        boot(role).listen(&mut said, Some(after))?;
        if number % subject.cuts_per_look == 0 || number == count {
            said.look_again();
            boot(subject.looks).listen(&mut said, None)?;
            report = said.check(Level::Synced)?;
        }
        if report.violations() > 0 {
            break;
        }
    }
    Ok((report, said))
}

/// What disks lose that are never synced. One that cannot be read afterwards proves nothing, and
/// another takes its place.
fn control(kernel: &Path, subject: &Subject, chance: &mut Chance) -> Result<String, String> {
    let mut unreadable = Vec::new();
    for disk in 1..=CONTROLS {
        match cuts(kernel, subject, subject.uses[1], CONTROL_CUTS, chance) {
            Ok((report, _)) if report.acked_lost > 0 => {
                let lost = report.acked_lost;
                unreadable
                    .iter()
                    .for_each(|error| println!("a control that proves nothing: {error}"));
                return Ok(match unreadable.len() {
                    0 => format!("the control lost {lost}"),
                    count => format!("the control lost {lost}, and {count} could not be read"),
                });
            }
            Ok(_) => {}
            Err(error) => unreadable.push(format!("disk {disk}: {error}")),
        }
    }
    Err(format!(
        "disks that are never synced lost nothing; those that cannot be read: {unreadable:#?}"
    ))
}

/// Cuts a log's power; what was found.
pub(crate) fn of_the_log() -> Result<String, String> {
    run(&LOG)
}

/// Cuts a broker's power; what was found.
pub(crate) fn of_the_broker() -> Result<String, String> {
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--package", "sampan"])
        .status();
    match built {
        Ok(status) if status.success() => run(&BROKER),
        other => Err(format!("the broker was not built: {other:?}")),
    }
}

fn run(subject: &Subject) -> Result<String, String> {
    let proof = Proof::of(subject.name);
    let found = cut_all(&proof, subject);
    proof.end(found)
}

fn cut_all(proof: &Proof, subject: &Subject) -> Result<String, String> {
    let Some(kernel) = kernel() else {
        let why = "there is no kernel to cut off: install user-mode-linux (scripts/setup.sh power)";
        let is_owed = full() || env::var_os("CI").is_some();
        return if is_owed { Err(why.to_owned()) } else { Ok(format!("NOT RUN, {why}")) };
    };
    let named = env::var(CUTS).ok().and_then(|text| text.parse().ok());
    let [many, few] = subject.cuts;
    let cuts_wanted: u64 = named.unwrap_or(if full() { many } else { few });
    let mut chance = Chance::of(many, "power", 0);
    let (mut acked, mut kept, mut given, mut settled) = (0, 0, 0, 0);
    for disk in 0..cuts_wanted.div_ceil(subject.cuts_per_disk) {
        let count = subject.cuts_per_disk.min(cuts_wanted - disk * subject.cuts_per_disk);
        let (report, said) = cuts(&kernel, subject, subject.uses[0], count, &mut chance)?;
        if report.violations() > 0 {
            return Err(format!("disk {disk}: {report}"));
        }
        (acked, kept) = (acked + report.acked, kept + report.kept);
        let (given_here, settled_here) = said.group();
        (given, settled) = (given + given_here, settled + settled_here);
        proof.ran(count);
    }
    let mut found = format!("{acked} acked, {kept} kept");
    if subject.has_group {
        write!(found, ", {given} given to a group, {settled} settled")
            .map_err(|e| e.to_string())?;
    }
    if acked == 0 || subject.has_group && (given == 0 || settled == 0) {
        return Err(format!("there was nothing to lose: {found}"));
    }
    Ok(format!("{found}; {}", control(&kernel, subject, &mut chance)?))
}
