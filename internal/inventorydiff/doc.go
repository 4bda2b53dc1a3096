// Package inventorydiff says what differs between two inventories, field by
// field and in the order of the newer file.
//
// It compares what the files ask for and not how they are written: comments,
// spaces and defaults that are spelled out are no difference. Nodes are known by
// their ids and regions by their names, so a node that stands in another region
// has moved. The order of regions and of nodes is what actions are ordered by,
// and so another order is a difference, too.
package inventorydiff
