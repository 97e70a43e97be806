//! Names of columns: Home Assistant's, those of databases, and what people write above them in several languages.

/// Names of time columns, the likeliest first.
pub const TIMES: [&str; 29] = [
    "timestamp",
    "last_updated",
    "last_changed",
    "last_updated_ts",
    "last_changed_ts",
    "last_reported_ts",
    "_time",
    "time",
    "datetime",
    "date_time",
    "date/time",
    "date",
    "start",
    "start_ts",
    "ts",
    "zeitstempel",
    "zeitpunkt",
    "datum_uhrzeit",
    "datum/uhrzeit",
    "datum_zeit",
    "datumzeit",
    "zeit",
    "datum",
    "tijdstip",
    "tijd",
    "date_heure",
    "horodatage",
    "fecha",
    "fecha_hora",
];
/// Days, where the time of the day stands in a column of its own.
pub const DATES: [&str; 7] = ["date", "datum", "day", "tag", "jour", "fecha", "dag"];
/// Names of columns with the time of the day, beside one with the date.
pub const CLOCKS: [&str; 7] = ["time", "uhrzeit", "zeit", "clock", "heure", "hora", "tijd"];
/// Names of columns with entity ids.
pub const IDS: [&str; 21] = [
    "entity_id",
    "statistic_id",
    "entity",
    "entityid",
    "entität",
    "entitaet",
    "entitäts_id",
    "entiteit",
    "entité",
    "entidad",
    "series",
    "friendly_name",
    "name",
    "sensor",
    "gerät",
    "geraet",
    "metric",
    "messstelle",
    "bezeichnung",
    "nom",
    "id",
];
/// Names of columns with states.
pub const STATES: [&str; 13] = [
    "state", "_value", "value", "zustand", "wert", "status", "messwert", "waarde", "toestand", "valeur", "état",
    "valor", "estado",
];
/// Names of columns with units.
pub const UNITS: [&str; 9] = [
    "unit",
    "unit_of_measurement",
    "_measurement",
    "einheit",
    "maßeinheit",
    "masseinheit",
    "eenheid",
    "unité",
    "unidad",
];
/// Names of columns with device classes.
pub const CLASSES: [&str; 4] = ["device_class", "geräteklasse", "geraeteklasse", "class"];
/// Columns that are of no entity in a table of a column an entity.
pub const OTHERS: [&str; 22] = [
    "",
    "type",
    "domain",
    "min",
    "max",
    "mean",
    "sum",
    "change",
    "result",
    "table",
    "_start",
    "_stop",
    "_field",
    "state_class",
    "attributes",
    "shared_attrs",
    "attributes_id",
    "metadata_id",
    "state_id",
    "context_id",
    "old_state_id",
    "source",
];
