// Package nodehistory tells the story of one node from the records of its log.
//
// Records are handed to a Teller in order and from the first one, for it folds
// them: what an event changed is what the fold says it changed, and one that
// counts for nothing is told as such. Besides what is about the node itself it
// tells of the inventories that changed what is asked of it, the plans that
// wanted or held something for it, and what people said of it, of its region or
// of the whole fleet.
package nodehistory
