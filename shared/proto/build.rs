//! Compiles `proto/` with a protobuf compiler written in Rust, so that a checkout builds with Cargo alone.

use protox::prost_reflect::{DescriptorPool, Value};
use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for package in ["common", "opportunity", "order", "closeout"] {
        for entry in fs::read_dir(root.join("crm").join(package).join("v1"))? {
            files.push(entry?.path());
        }
    }
    files.sort();
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files)?;
    // Maps in the order of their keys: the same message has the same bytes, and with them a request its fingerprint.
    tonic_prost_build::configure().btree_map(".").compile_fds(compiler.file_descriptor_set())?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("methods.rs"), methods(&compiler.descriptor_pool())?)?;
    // No file names them, yet refusals carry them: with them in reflection a client that has no stubs can read refusals, too.
    // Their code is that of tonic-types.
    compiler.open_files([root.join("google/rpc/error_details.proto"), root.join("google/rpc/status.proto")])?;
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;
    Ok(())
}

/// The public methods with the rights that let a caller in. A method that names none does not compile.
fn methods(pool: &DescriptorPool) -> Result<String, String> {
    let option = pool.get_extension_by_name("crm.common.v1.right").ok_or("the option `right` is gone")?;
    let services = pool.services().filter(|service| service.parent_file().package_name() != "crm.closeout.v1");
    let mut methods = Vec::new();
    for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let options = method.options();
        let rights = options.get_extension(&option);
        let words: Vec<_> = rights.as_list().unwrap_or_default().iter().filter_map(Value::as_str).collect();
        if words.is_empty() {
            return Err(format!("{path} says with no option `right` who may call it"));
        }
        methods.push(format!("({path:?}, &{words:?})"));
    }
    methods.sort();
    Ok(format!("&[{}]", methods.join(", ")))
}
