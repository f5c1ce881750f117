//! To a real registry and back: Debian's docker-registry on the loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use wellformed_image::{Error, Image, RegistryReference};

use crate::support::{built, lacking};

struct Registry {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: {address}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
            folder.path().display()
        );
        let path = folder.path().join("registry.yml");
        fs::write(&path, settings).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(process) = command.spawn() else {
            return lacking("docker-registry is not installed (`apt-get install docker-registry`)");
        };
        let registry = Self { process, address, _folder: folder };
        for _ in 0..200 {
            if TcpStream::connect(&registry.address).is_ok() {
                return Some(registry);
            }
            sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not answer at {}", registry.address);
    }

    fn reference(&self, name: &str) -> RegistryReference {
        RegistryReference::parse(&format!("{}/{name}", self.address)).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn what_comes_back_from_a_registry_is_what_was_pushed() {
    let Some(built) = built() else { return };
    let Some(registry) = Registry::start() else { return };
    let to = registry.reference("wellformed:one");
    assert_eq!(to.digest().unwrap(), None);
    let first = built.image.push(&to).unwrap();
    assert_eq!((first.digest.as_str(), first.was_there), (built.image.digest(), false));
    let again = built.image.push(&to).unwrap();
    assert!(again.was_there && again.digest == first.digest, "{again:?}");

    let folder = tempfile::tempdir().unwrap();
    let by_digest = RegistryReference::parse(&first.reference).unwrap();
    let pulled = Image::pull(&by_digest, &folder.path().join("pulled")).unwrap();
    assert_eq!(pulled.digest(), built.image.digest());
    assert_eq!(pulled.layout.entries().unwrap(), built.image.layout.entries().unwrap());
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn a_tag_that_is_taken_is_not_overwritten() {
    let Some(built) = built() else { return };
    let Some(registry) = Registry::start() else { return };
    let mut request = built.request.clone();
    "test-other".clone_into(&mut request.tag);
    request.labels.insert("test".to_owned(), "other".to_owned());
    let other = built.builder.build(&request, &mut |_| {}).unwrap();
    let to = registry.reference("wellformed:one");
    other.push(&to).unwrap();
    let error = built.image.push(&to).unwrap_err();
    assert!(matches!(&error, Error::TagTaken { found, .. } if found == other.digest()), "{error}");
    assert_eq!(to.digest().unwrap().as_deref(), Some(other.digest()));
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn a_registry_that_is_down_is_an_error_and_not_an_empty_one() {
    let Some(built) = built() else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = RegistryReference::parse(&format!("127.0.0.1:{port}/wellformed:one")).unwrap();
    assert!(matches!(nobody.digest(), Err(Error::Failed { .. })));
    assert!(matches!(built.image.push(&nobody), Err(Error::Failed { .. })));
}
