//! Power cuts: the witness runs in a machine of user-mode-linux with a disk of its own, and the
//! machine is killed from outside. What its kernel had not written to the disk is gone.
//!
//! The control uses a disk that is never synced and has to lose something, or the cuts prove
//! nothing.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sampan_tests::chance::Chance;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::report::Said;

const CUTS: u64 = 50;
/// Cuts of one disk before it is drained.
const CUTS_PER_DISK: u64 = 10;
const CONTROL_CUTS: u64 = 3;
const DISK_BYTES: u64 = 128 << 20;
/// How long a machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// What leaves the wide registers alone, which the machine does not keep apart.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,\
    -AVX_Usable,-AVX2_Usable,-AVX512F_Usable,-AVX_Fast_Unaligned_Load";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crash/power")
}

/// The kernel to boot.
fn fetch() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let beside = program.parent().ok_or("no folder for the kernel")?.join("user-mode-linux");
    let fetched = Command::new("sh").arg(folder().join("fetch.sh")).arg(beside).output();
    let fetched = fetched.map_err(|error| error.to_string())?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if fetched.status.success() {
        Ok(said(&fetched.stdout).into())
    } else {
        Err(said(&fetched.stderr))
    }
}

/// A new disk with an empty file system.
fn disk(at: &Path) -> PathBuf {
    let image = at.join("disk");
    File::create(&image).and_then(|file| file.set_len(DISK_BYTES)).expect("a disk");
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
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
        command.args(["mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]);
        command.args(["con=null", "con0=fd:0,fd:1", "quiet"]);
        command.arg(format!("init={}", folder().join("init.sh").display()));
        command.arg(format!("ubd0={}", image.display()));
        command.arg(format!("PROGRAM={}", program.display()));
        command.arg(format!("ROLE={role}")).arg(format!("SEED={seed}"));
        command.arg(format!("GLIBC_TUNABLES={TUNABLES}"));
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
                Err(error) => {
                    break Err(format!(
                        "{error}: {:?}",
                        heard.iter().rev().take(9).collect::<Vec<_>>()
                    ));
                }
            }
        };
        self.cut();
        reader.join().map_err(|_| "the reader failed")?;
        heard.extend(told.try_iter());
        heard.iter().for_each(|line| said.hear(line));
        let last = heard.iter().rev().take(9).rev();
        match after {
            None if !said.drained => {
                Err(format!("drained in part: {:?}", last.collect::<Vec<_>>()))
            }
            _ => ended,
        }
    }
}

/// Cuts one disk's power so often, and looks at what it holds then.
fn cuts(kernel: &Path, role: &str, count: u64, chance: &mut Chance) -> Result<Said, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let image = disk(directory.path());
    let mut said = Said::default();
    for number in 1..=count {
        let after = Duration::from_millis(chance.between(&(50..=800)));
        Machine::boot(kernel, &image, role, number).listen(&mut said, Some(after))?;
    }
    Machine::boot(kernel, &image, "drain", 0).listen(&mut said, None)?;
    Ok(said)
}

/// Runs the cuts; what was found.
pub(crate) fn run() -> Result<String, String> {
    let proof = Proof::of("power cuts of a log");
    let found = cut_all(&proof);
    proof.end(found)
}

fn cut_all(proof: &Proof) -> Result<String, String> {
    let kernel = match fetch() {
        Ok(kernel) => kernel,
        Err(error) => return Ok(format!("NOT RUN, there is no kernel to cut off: {error}")),
    };
    let mut chance = Chance::of(CUTS, "power", 0);
    let (mut acked, mut kept) = (0, 0);
    for disk in 0..CUTS / CUTS_PER_DISK {
        let report = cuts(&kernel, "write", CUTS_PER_DISK, &mut chance)?.check(Level::Synced);
        if report.violations() > 0 {
            return Err(format!("disk {disk}: {report}"));
        }
        (acked, kept) = (acked + report.acked, kept + report.kept);
        proof.ran(CUTS_PER_DISK);
    }
    let control = cuts(&kernel, "write-careless", CONTROL_CUTS, &mut chance);
    // A store that cannot even be opened has lost, too.
    let lost = control.map_or(1, |said| said.check(Level::Synced).violations());
    if lost == 0 || acked == 0 {
        return Err(format!("{acked} acked, and a disk that is never synced lost {lost}"));
    }
    Ok(format!("{acked} acked, {kept} kept, 0 lost; without syncs {lost} lost"))
}
