//! Homes as files for another framework, and weights back from it.

use std::collections::BTreeMap;

use hearthwatch_detector::network::{NamedTensor, Weights};
use hearthwatch_training::HomeOutline;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// One home as named arrays of binary32; row numbers stay below 2²⁴ and so are exact.
pub(super) fn of_home(home: &HomeOutline) -> anyhow::Result<Vec<u8>> {
    let flags = |flags: &[bool]| -> Vec<f32> { flags.iter().map(|flag| f32::from(u8::from(*flag))).collect() };
    let numbers = |numbers: &[u32]| -> Vec<f32> { numbers.iter().map(|number| *number as f32).collect() };
    let mut arrays: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    arrays.insert("signed".to_owned(), flags(&home.signed));
    arrays.insert("faults".to_owned(), numbers(home.faults.as_flattened()));
    arrays.insert("classes".to_owned(), home.sources.iter().map(|source| source.class as f32).collect());
    arrays.insert("mirrored".to_owned(), flags(&home.sources.iter().map(|source| source.mirrored).collect::<Vec<_>>()));
    for (place, source) in home.sources.iter().enumerate() {
        arrays.insert(format!("rows.{place}"), source.rows.clone());
        arrays.insert(format!("ready.{place}"), flags(&source.ready));
        arrays.insert(format!("normal.{place}"), numbers(&source.normal));
        arrays.insert(format!("targets.{place}"), source.targets.clone());
    }
    let bytes: BTreeMap<&str, Vec<u8>> = arrays
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, bytes)| Ok((*name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    Ok(safetensors::serialize(views, None)?)
}

/// Weights of our network, from a file of parameters alone.
pub(super) fn weights(bytes: &[u8]) -> anyhow::Result<Weights> {
    let tensors = SafeTensors::deserialize(bytes)?
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
            (name, NamedTensor { shape: view.shape().to_vec(), values })
        })
        .collect();
    Ok(Weights::new(tensors)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_training::SourceOutline;

    #[test]
    fn a_home_is_written_with_every_array() {
        let source = SourceOutline {
            rows: vec![0.5; 40],
            class: 3,
            mirrored: true,
            ready: vec![false, true],
            normal: vec![1],
            targets: vec![f32::NAN],
        };
        let home = HomeOutline { sources: vec![source], faults: vec![[0, 1, 2]], signed: [true; 20] };
        let bytes = of_home(&home).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let names = ["classes", "faults", "mirrored", "normal.0", "ready.0", "rows.0", "signed", "targets.0"];
        let mut found = read.names();
        found.sort_unstable();
        assert_eq!(found, names);
        assert_eq!(read.tensor("faults").unwrap().data(), [0.0_f32, 1.0, 2.0].map(f32::to_le_bytes).as_flattened());
    }
}
