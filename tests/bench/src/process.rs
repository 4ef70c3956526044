//! What Linux tells of processes: the time they have used, the memory they hold. In flow process ids, out come numbers; none
//! where there is no such process, or no `/proc`.

use std::{collections::BTreeMap, fs, ops::Sub, time::Duration};

/// Processor time in hundredths of a second, as `/proc` counts it (USER_HZ is 100 on every Linux).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticks(u64);

impl Ticks {
    /// As a time.
    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(self.0 * 10)
    }
}

impl Sub for Ticks {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// Fields of `/proc/PID/stat` after the name, which may hold spaces itself: the first is the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn number(fields: &[String], index: usize) -> Option<u64> {
    fields.get(index)?.parse().ok()
}

/// The process that started this one.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// Time of one process.
pub(crate) fn ticks(pid: u32) -> Option<Ticks> {
    let fields = stat(pid)?;
    Some(Ticks(number(&fields, 11)? + number(&fields, 12)?))
}

/// Time of a process, of its children, and of those that have ended.
pub(crate) fn ticks_of_family(pid: u32) -> Option<Ticks> {
    let fields = stat(pid)?;
    let mut sum = (11..=14).map(|index| number(&fields, index)).sum::<Option<u64>>()?;
    for child in children(pid) {
        // One that ends meanwhile is counted by its parent from then on.
        sum += ticks(child).unwrap_or_default().0;
    }
    Some(Ticks(sum))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

/// Memory of a process in bytes: now, and at its highest.
pub(crate) fn memory(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let lines: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let bytes = |name| Some(lines.get(name)?.split_whitespace().next()?.parse::<u64>().ok()? * 1_024);
    Some((bytes("VmRSS")?, bytes("VmHWM")?))
}

/// The processor and how many of them there are, for the heading of a result.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, name)| name.trim());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let gib = memory.unwrap_or(0_u64).div_ceil(1_024 * 1_024);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{count} processors ({model}), {gib} GiB, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_parent_and_memory_and_its_parent_has_it() {
        let own = std::process::id();
        let parent = parent(own).unwrap();
        assert!(children(parent).contains(&own));
        let (now, most) = memory(own).unwrap();
        assert!(now > 0 && most >= now);
        assert!(ticks_of_family(parent).unwrap().0 >= ticks(own).unwrap().0);
    }
}
