// Package inventory reads the desired state: one YAML file that a person wrote
// and reviewed, turned into a [fleet.Inventory].
//
// What it promises:
//
//   - Strict. An unknown key at any level, a key given twice, a second YAML
//     document and a value of the wrong type are errors. A typo such as
//     requir_sig never becomes the default.
//   - All at once. [Parse] reports every problem it can see, each with its path,
//     its line and a stable tag, in the order of the lines. Only YAML that does
//     not parse at all, or a root that is not a mapping, hides what lies behind it.
//   - All or nothing. The inventory is nil exactly when there is an error.
//     Warnings never stand in the way of an inventory.
//   - Total. Any bytes give an answer, in time linear in their number: no panic,
//     no endless alias, no quadratic search.
//   - Small. A file whose nodes stand in lists with a line for each hyphen is read
//     node by node, and takes little memory besides its text and the inventory.
//     What it says is what reading the whole would say; any other file is read as
//     a whole, up to [MaxWholeBytes].
//   - Pure. No file, clock, goroutine, logger or environment; the same bytes give
//     the same answer. [Read] calls the function it is given and nothing else.
//
// # What counts as left out
//
// A key with a null value counts as left out: fine where the key is optional,
// an error where it is required. A null inside a list is a wrong type.
//
// # What counts as a string
//
// YAML reads 007 as a number, true as a boolean and 2026-01-01 as a date. Where
// a string is wanted these are refused with the advice to quote them, since the
// text that was meant cannot be known. The unquoted words yes, no, on and off
// are strings, so they are not accepted as a boolean either.
//
// # Aliases
//
// An anchor may be reused by an alias; the problem then stands on the line of the
// alias and says where the value is written. How much a file may expand through
// aliases is bounded by its own size. The merge key << is an unknown key.
//
// The caller owes nothing but to look at [Report.Errors] (or [Report.Err]) before
// using the inventory, and to show [Report.Warnings] to a person.
package inventory
