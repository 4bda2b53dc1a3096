package inventorydiff

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Kind is what happened to a thing.
type Kind string

// The kinds of changes.
const (
	Added     Kind = "added"
	Removed   Kind = "removed"
	Moved     Kind = "moved"   // a node, to another region
	Changed   Kind = "changed" // a field
	Reordered Kind = "reordered"
)

// Change is one difference.
type Change struct {
	Kind Kind `json:"kind"`
	// Path of what differs, with names in place of indices, such as
	// regions[nyc].nodes[node-1].cred_ttl.
	Path string `json:"path"`
	// Node and Region concerned, in the newer inventory where it has them; empty
	// for what is of the whole fleet.
	Node   fleet.NodeID `json:"node,omitempty"`
	Region string       `json:"region,omitempty"`
	// Field that changed; empty where a region or a node did as a whole.
	Field string `json:"field,omitempty"`
	// Old and New as an inventory has them; of a node or region as a whole its
	// fields, of a node that moved its region. Empty: there is none.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// Of lists what differs: first the fields of the fleet, then regions, then nodes
// that were added, moved, changed and removed. A nil inventory is one that asks
// for nothing.
func Of(old, new *fleet.Inventory) []Change {
	d := differ{old: tableOf(old), new: tableOf(new)}
	d.fleet()
	d.regions()
	d.nodes()
	return d.changes
}

type differ struct {
	old, new table
	changes  []Change
}

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

// field notes a value that is another one.
func (d *differ) field(c Change, field, old, new string) {
	if old != new {
		c.Kind, c.Field, c.Old, c.New = Changed, field, old, new
		c.Path = strings.TrimPrefix(c.Path+"."+field, ".")
		d.add(c)
	}
}

func (d *differ) fleet() {
	for _, name := range []string{"trust_domain", "root_ca", "quorum.width", "enforcement.require_sig"} {
		d.field(Change{}, name, d.old.fields[name], d.new.fields[name])
	}
}

func (d *differ) regions() {
	for _, name := range d.new.regions {
		c := Change{Path: regionPath(name), Region: name}
		was, there := d.old.intermediates[name]
		if !there {
			c.Kind, c.New = Added, intermediate(d.new.intermediates[name])
			d.add(c)
			continue
		}
		d.field(c, "intermediate_ca", was, d.new.intermediates[name])
	}
	for _, name := range d.old.regions {
		if _, there := d.new.intermediates[name]; !there {
			d.add(Change{Kind: Removed, Path: regionPath(name), Region: name, Old: intermediate(d.old.intermediates[name])})
		}
	}
	if reordered(d.old.regions, d.new.regions) {
		d.add(Change{Kind: Reordered, Path: "regions"})
	}
}

func (d *differ) nodes() {
	for _, n := range d.new.nodes {
		if was := d.old.byID[n.ID]; was == nil {
			d.add(n.change(Added, "", fieldsOf(n.Node)))
		}
	}
	for _, n := range d.new.nodes {
		if was := d.old.byID[n.ID]; was != nil && was.region != n.region {
			d.add(n.change(Moved, was.region, n.region))
		}
	}
	for _, n := range d.new.nodes {
		was := d.old.byID[n.ID]
		if was == nil {
			continue
		}
		before := values(was.Node)
		for i, now := range values(n.Node) {
			d.field(n.change("", "", ""), now.field, before[i].value, now.value)
		}
	}
	for _, n := range d.old.nodes {
		if d.new.byID[n.ID] == nil {
			d.add(n.change(Removed, fieldsOf(n.Node), ""))
		}
	}
	for _, name := range d.new.regions {
		if reordered(d.old.within(name), d.new.within(name)) {
			d.add(Change{Kind: Reordered, Path: regionPath(name) + ".nodes", Region: name})
		}
	}
}

// placed is a node and the region that it stands in.
type placed struct {
	*fleet.Node
	region string
}

func (p placed) change(kind Kind, old, new string) Change {
	return Change{Kind: kind, Path: fmt.Sprintf("%s.nodes[%s]", regionPath(p.region), p.ID), Node: p.ID, Region: p.region, Old: old, New: new}
}

func regionPath(name string) string { return "regions[" + name + "]" }

func intermediate(name string) string {
	if name == "" {
		return ""
	}
	return "intermediate_ca " + name
}

// fieldValue is one field as an inventory has it.
type fieldValue struct{ field, value string }

// values lists the fields of a node, always the same ones in the same order.
func values(n *fleet.Node) []fieldValue {
	return []fieldValue{
		{"attestor", string(n.Attestor)},
		{"cred_ttl", Duration(n.CredTTL)},
		{"renew_before", Duration(n.RenewBefore)},
		{"roles", "[" + strings.Join(n.Roles, ", ") + "]"},
	}
}

func fieldsOf(n *fleet.Node) string {
	var parts []string
	for _, v := range values(n) {
		if v.value != "[]" {
			parts = append(parts, v.field+" "+v.value)
		}
	}
	return strings.Join(parts, ", ")
}

// Duration is one number and one unit, as an inventory has it.
func Duration(d time.Duration) string {
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}} {
		if d >= unit.length && d%unit.length == 0 {
			return strconv.FormatInt(int64(d/unit.length), 10) + unit.name
		}
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// reordered says that what both have stands in another order.
func reordered[T comparable](old, new []T) bool {
	inOld, inNew := make(map[T]bool, len(old)), make(map[T]bool, len(new))
	for _, x := range old {
		inOld[x] = true
	}
	for _, x := range new {
		inNew[x] = true
	}
	common := func(list []T, other map[T]bool) []T {
		return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return !other[x] })
	}
	return !slices.Equal(common(old, inNew), common(new, inOld))
}
