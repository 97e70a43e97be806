//! Container images, built from the files in the tree and run, without an engine that runs as a service.
//!
//! buildah does both, in a directory of the test's own. The base is a small Debian that `base.sh` makes: a test fetches no image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What both files build upon.
const BASE: &str = "debian:13-slim";
/// The program that trains, beside the agent's own.
const TRAINS: &str = "hearthwatch-train-round";

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A store of images, removed with this value.
pub struct Images {
    dir: TempDir,
}

impl Images {
    /// A store that holds the base alone; none, said loudly, where images cannot be built.
    pub fn new() -> Option<Self> {
        match Self::with_base() {
            Ok(images) => Some(images),
            Err(why) => {
                let sentence = format!("SKIPPED loudly: no image can be built here ({why}), so NO container is tested");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{sentence}");
                eprintln!("\n!!! {sentence} !!!\n");
                None
            }
        }
    }

    fn with_base() -> Result<Self, String> {
        let uid = Command::new("id").arg("-u").output().map_err(|error| error.to_string())?;
        if uid.stdout.trim_ascii() != b"0" {
            return Err("it takes root".to_owned());
        }
        let found = Command::new("buildah").arg("--version").stdout(Stdio::null()).status();
        found.map_err(|error| format!("buildah: {error}"))?;
        let script = tree().join("tests/home-assistant/base.sh");
        let made = Command::new(script).stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
        if !made.status.success() {
            return Err(format!("base.sh ended with {}", made.status));
        }
        let images = Self { dir: tempfile::tempdir().map_err(|error| error.to_string())? };
        let base = PathBuf::from(String::from_utf8_lossy(&made.stdout).trim());
        let file = images.folder("base").join("Dockerfile");
        let name = base.file_name().unwrap_or_default().to_string_lossy();
        std::fs::write(&file, format!("FROM scratch\nADD {name} /\n")).unwrap();
        images.build(BASE, &file, base.parent().unwrap(), &[]);
        Ok(images)
    }

    /// A folder of the store's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Builds the app's image as the Supervisor does: its folder, with the program and the one that trains in `bin/`.
    pub fn build_app(&self, program: &Path) -> String {
        let context = self.folder("app");
        let folder = tree().join("edge-agent/home-assistant/apps/hearthwatch");
        for name in ["Dockerfile", "config.yaml"] {
            std::fs::copy(folder.join(name), context.join(name)).unwrap();
        }
        std::fs::create_dir_all(context.join("bin")).unwrap();
        std::fs::copy(program, context.join("bin/hearthwatch-edge-amd64")).unwrap();
        let trains = program.with_file_name(TRAINS);
        std::fs::copy(trains, context.join(format!("bin/{TRAINS}-amd64"))).unwrap();
        self.build("hearthwatch-app", &context.join("Dockerfile"), &context, &[]);
        "hearthwatch-app".to_owned()
    }

    /// Builds the plain container's image. Its first stage compiles for a quarter of an hour what `program` is already; here a
    /// folder stands for that stage.
    pub fn build_plain(&self, program: &Path) -> String {
        let built = self.folder("built/source/target/dist");
        std::fs::copy(program, built.join("hearthwatch-edge")).unwrap();
        std::fs::copy(program.with_file_name(TRAINS), built.join(TRAINS)).unwrap();
        let stage = format!("build={}", self.dir.path().join("built").display());
        let empty = self.folder("empty");
        self.build("hearthwatch-edge", &tree().join("edge-agent/Dockerfile"), &empty, &["--build-context", &stage]);
        "hearthwatch-edge".to_owned()
    }

    fn build(&self, tag: &str, file: &Path, context: &Path, more: &[&str]) {
        let mut command = self.buildah();
        command.args(["bud", "--isolation", "chroot", "--network", "host", "--tag", tag]);
        // The base is the one made here, whatever else goes by its name.
        if tag != BASE {
            command.arg("--pull-never");
        }
        let done = command.args(more).arg("--file").arg(file).arg(context).output().unwrap();
        assert!(done.status.success(), "{tag}:\n{}", String::from_utf8_lossy(&done.stderr));
    }

    /// What a container of `image` prints when it is given `arguments` in the place of its own command.
    pub fn say(&self, image: &str, arguments: &[&str]) -> String {
        let done = self.run(image, &[]).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// A command that becomes a container of `image` on this machine's network, for the caller to add what it runs.
    pub fn run(&self, image: &str, options: &[&str]) -> Command {
        let made = self.buildah().args(["from", "--pull-never", image]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let container = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let mut command = self.buildah();
        command.args(["run", "--isolation", "chroot"]).args(options).args([&container, "--"]);
        command
    }

    fn buildah(&self) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--storage-driver").arg("vfs").arg("--root").arg(self.dir.path().join("store"));
        command.arg("--runroot").arg(self.dir.path().join("run"));
        command
    }
}
