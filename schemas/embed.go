// Package schemas holds the descriptions of fleetfold's formats: the JSON
// Schemas of the inventory and of each event's data, one example of each
// event, and an AsyncAPI document of the channels they travel on. They are
// files for other programs and other languages; the tests of the packages that
// read and write the formats keep them true.
package schemas

import "embed"

// Events holds events/<type>.schema.json for each type of event.
//
//go:embed events/*.schema.json
var Events embed.FS

// Examples holds examples/<type>.json for each type of event: one CloudEvent
// in JSON format.
//
//go:embed examples/*.json
var Examples embed.FS

// AsyncAPI describes the channels and the messages on them.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte

// Inventory is the JSON Schema of the inventory.
//
//go:embed inventory.schema.json
var Inventory []byte
