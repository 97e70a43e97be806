//! The sets that come from registry packages and may travel with the program; lineage and licences beside the files.

macro_rules! file {
    ($set:literal, $name:literal) => {
        ($set, $name, include_bytes!(concat!("../../data/", $set, "/", $name)))
    };
}

/// Files of a bundled set: `(set folder, file name, gzipped bytes)`.
pub(super) const FILES: &[(&str, &str, &[u8])] = &[
    file!("citylearn_2022_homes", "Building_1.csv.gz"),
    file!("citylearn_2022_homes", "Building_2.csv.gz"),
    file!("citylearn_2022_homes", "Building_3.csv.gz"),
    file!("citylearn_2022_homes", "Building_4.csv.gz"),
    file!("citylearn_2022_homes", "Building_5.csv.gz"),
    file!("citylearn_2022_homes", "Building_6.csv.gz"),
    file!("citylearn_2022_homes", "Building_7.csv.gz"),
    file!("citylearn_2022_homes", "Building_8.csv.gz"),
    file!("citylearn_2022_homes", "Building_9.csv.gz"),
    file!("citylearn_2022_homes", "Building_10.csv.gz"),
    file!("citylearn_2022_homes", "Building_11.csv.gz"),
    file!("citylearn_2022_homes", "Building_12.csv.gz"),
    file!("citylearn_2022_homes", "Building_13.csv.gz"),
    file!("citylearn_2022_homes", "Building_14.csv.gz"),
    file!("citylearn_2022_homes", "Building_15.csv.gz"),
    file!("citylearn_2022_homes", "Building_16.csv.gz"),
    file!("citylearn_2022_homes", "Building_17.csv.gz"),
    file!("citylearn_2022_homes", "weather.csv.gz"),
    file!("suthaharan_wsn", "single_hop.csv.gz"),
    file!("river_water_flow", "water-flow.csv.gz"),
];
