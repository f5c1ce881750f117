//! Hardware, and what it is doing: from `/proc` and, where there is one, `nvidia-smi`. Elsewhere than on Linux, little
//! is known and nothing is sampled.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::ask;
use crate::sink::Sample;

/// How long `nvidia-smi` may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Ticks of `/proc/self/stat` in a second: Linux has reported 100 to programs on every architecture for decades.
const TICKS: f64 = 100.0;

/// The hardware.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// The machine's name.
    pub host: String,
    /// Such as `Linux-6.1.0`.
    pub os: String,
    /// The processor's name.
    pub cpu: String,
    /// Physical cores.
    pub cores: u32,
    /// Logical processors.
    pub processors: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// The GPUs.
    pub gpus: Vec<Gpu>,
}

/// A GPU.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gpu {
    /// Its name.
    pub name: String,
    /// Its memory in bytes.
    pub memory: u64,
    /// Its identifier.
    pub uuid: String,
}

impl Machine {
    /// Looks around.
    pub fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        let cpuinfo = read("/proc/cpuinfo");
        let release = read("/proc/sys/kernel/osrelease");
        let system = match std::env::consts::OS {
            "linux" => "Linux",
            "macos" => "macOS",
            other => other,
        };
        Self {
            host: read("/proc/sys/kernel/hostname").trim().to_owned(),
            os: [system, release.trim()].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("-"),
            cpu: field(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: cores(&cpuinfo).unwrap_or(processors),
            processors,
            memory: kilobytes(&read("/proc/meminfo"), "MemTotal").unwrap_or(0) * 1024,
            gpus: gpus(),
        }
    }
}

/// The value of `name : value`, the first there is.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// Distinct pairs of socket and core.
fn cores(cpuinfo: &str) -> Option<u32> {
    let pairs: BTreeSet<(&str, &str)> = cpuinfo
        .split("\n\n")
        .filter_map(|processor| Some((field(processor, "physical id")?, field(processor, "core id")?)))
        .collect();
    Some(pairs.len() as u32).filter(|&count| count > 0)
}

/// A line such as `MemTotal:  24684084 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.split_whitespace().next()?.parse().ok()
}

fn nvidia(query: &str) -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    ask(command.arg(format!("--query-gpu={query}")).arg("--format=csv,noheader,nounits"), LIMIT)
}

fn gpus() -> Vec<Gpu> {
    let text = nvidia("name,memory.total,uuid").unwrap_or_default();
    text.lines().filter_map(gpu).collect()
}

fn gpu(line: &str) -> Option<Gpu> {
    let mut parts = line.split(',').map(str::trim);
    let (name, memory, uuid) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Gpu { name: name.to_owned(), memory: memory.parse::<u64>().ok()? << 20, uuid: uuid.to_owned() })
}

/// Takes samples.
#[derive(Debug)]
pub struct Sampler {
    /// Total memory in kB.
    memory: u64,
    processors: f64,
    has_gpu: bool,
    /// When, and the seconds of processor time that this process had used then.
    before: Option<(Instant, f64)>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampler {
    /// A sampler that has not sampled yet.
    pub fn new() -> Self {
        let memory = kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal").unwrap_or(0);
        let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        Self { memory, processors, has_gpu: true, before: None }
    }

    /// What the machine is doing now. The share of the processor is that since the sample before, so the first has
    /// none.
    pub fn sample(&mut self) -> Sample {
        let mut values = Vec::new();
        let mut add = |name: &str, value: Option<f64>| values.extend(value.map(|value| (name.to_owned(), value)));
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the program is in brackets and may hold anything; fields are counted behind it, from the third.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let number = |at: usize| fields.get(at - 3).and_then(|text| text.parse::<f64>().ok());
        let used = number(14).zip(number(15)).map(|(user, system)| (user + system) / TICKS);
        let now = Instant::now();
        if let (Some(used), Some((then, before))) = (used, self.before) {
            let share = (used - before) / (now - then).as_secs_f64().max(1e-3) / self.processors;
            add("cpu", Some(share * 100.0));
        }
        self.before = used.map(|used| (now, used));
        add("proc.cpu.threads", number(20));

        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = kilobytes(&status, "VmRSS").map(|kilobytes| kilobytes as f64);
        let available = kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable");
        let available = available.map(|kilobytes| kilobytes as f64);
        let total = self.memory as f64;
        add("proc.memory.rssMB", resident.map(|resident| resident / 1024.0));
        add("proc.memory.availableMB", available.map(|available| available / 1024.0));
        if self.memory > 0 {
            add("proc.memory.percent", resident.map(|resident| resident / total * 100.0));
            add("memory_percent", available.map(|available| (1.0 - available / total) * 100.0));
        }
        if self.has_gpu {
            let query = "utilization.gpu,utilization.memory,memory.used,memory.total,temperature.gpu,power.draw";
            let text = nvidia(query);
            // A machine without it will not get one while a run lasts.
            self.has_gpu = text.is_some();
            values.extend(text.unwrap_or_default().lines().enumerate().flat_map(|(index, line)| gpu_use(index, line)));
        }
        Sample(values)
    }
}

/// A line of `nvidia-smi` under W&B's names; a value that the card does not report is left out.
fn gpu_use(index: usize, line: &str) -> Vec<(String, f64)> {
    let numbers: Vec<Option<f64>> = line.split(',').map(|text| text.trim().parse().ok()).collect();
    let at = |place: usize| numbers.get(place).copied().flatten();
    let share = at(2).zip(at(3)).filter(|&(_, total)| total > 0.0).map(|(used, total)| used / total * 100.0);
    let bytes = at(2).map(|megabytes| megabytes * 1_048_576.0);
    let named = [
        ("gpu", at(0)),
        ("memory", at(1)),
        ("memoryAllocated", share),
        ("memoryAllocatedBytes", bytes),
        ("temp", at(4)),
        ("powerWatts", at(5)),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((format!("gpu.{index}.{name}"), value?)));
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_counted_once_for_each_socket() {
        let processor = |socket: u32, core: u32| format!("processor : 0\nphysical id : {socket}\ncore id : {core}\n");
        let text = [processor(0, 0), processor(0, 0), processor(0, 1), processor(1, 0)].join("\n");
        assert_eq!(cores(&text), Some(3));
        assert_eq!(cores("processor : 0\n"), None);
    }

    #[test]
    fn a_line_of_nvidia_smi_is_understood_with_what_the_card_does_not_report() {
        let values = gpu_use(1, "37, 12, 1024, 81559, 31, [N/A]");
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["gpu.1.gpu", "gpu.1.memory", "gpu.1.memoryAllocated", "gpu.1.memoryAllocatedBytes", "gpu.1.temp"];
        assert_eq!(names, expected);
        assert!((values[2].1 - 1.2555).abs() < 1e-3, "{values:?}");
        let card = gpu("NVIDIA H100 80GB HBM3, 81559, GPU-1f").unwrap();
        assert_eq!((card.name.as_str(), card.memory), ("NVIDIA H100 80GB HBM3", 81559 << 20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_is_seen_and_its_use_is_within_bounds() {
        let machine = Machine::look();
        assert!(machine.os.starts_with("Linux-") && machine.memory > 1 << 20 && machine.cores >= 1, "{machine:?}");
        let mut sampler = Sampler::new();
        assert!(!sampler.sample().0.iter().any(|(name, _)| name == "cpu"), "a share needs two samples");
        let mut sum = 0_u64;
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(200) {
            sum = sum.wrapping_mul(3).wrapping_add(1);
        }
        std::hint::black_box(sum);
        let Sample(values) = sampler.sample();
        let of = |wanted: &str| values.iter().find(|(name, _)| name == wanted).unwrap().1;
        assert!(of("cpu") > 1.0, "a loop that ran all the time used {} % of the processors", of("cpu"));
        assert!(of("proc.memory.rssMB") > 0.5 && of("proc.cpu.threads") >= 1.0);
        assert!((0.0..=100.0).contains(&of("memory_percent")) && (0.0..=100.0).contains(&of("proc.memory.percent")));
    }
}
