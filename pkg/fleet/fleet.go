package fleet

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// MaxNodeIDBytes is the longest legal node id, in bytes.
const MaxNodeIDBytes = 128

// NodeID names one node. Ids compare byte for byte; nothing is trimmed,
// folded or reserved, so an id is never used raw as a file name, a subject
// token or an argument.
type NodeID string

// ParseNodeID checks s against the id rule and returns it as a NodeID. The
// error says which part of the rule s breaks.
func ParseNodeID(s string) (NodeID, error) {
	if s == "" {
		return "", errors.New("node id is empty")
	}
	if len(s) > MaxNodeIDBytes {
		return "", fmt.Errorf("node id is %d bytes long, at most %d are allowed", len(s), MaxNodeIDBytes)
	}
	for i := range len(s) {
		if !isIDByte(s[i]) {
			return "", fmt.Errorf("node id has %q at byte %d: only ASCII letters, digits and _ - : @ . / are allowed", s[i:i+1], i)
		}
	}
	if strings.Contains(s, "..") {
		return "", errors.New("node id contains \"..\"")
	}
	if s[0] == '/' {
		return "", errors.New("node id begins with \"/\"")
	}
	return NodeID(s), nil
}

func isIDByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("_-:@./", c) >= 0
}

// Attestor says how a node proves who it is before it gets a credential.
type Attestor string

// The attestors an inventory may name.
const (
	AttestorMTLSCert   Attestor = "mtls-cert"
	AttestorNodePlugin Attestor = "node-plugin"
)

// Inventory is the desired state: what one reviewed YAML file asks for.
type Inventory struct {
	// TrustDomain is the SPIFFE trust domain of every credential; never blank.
	TrustDomain string
	// RootCA names the folder of the root issuer; empty means the one without a name.
	RootCA string
	// Regions in the order of the file; a name may stand twice.
	Regions []Region
	// QuorumWidth is how many signing nodes must remain; at least 1.
	QuorumWidth int
	// RequireSig says whether receivers must refuse unsigned posts; false, the
	// default, means permissive.
	RequireSig bool
}

// Region is a named group of nodes.
type Region struct {
	Name string
	// IntermediateCA names the folder of the region's issuer; empty means the root issues.
	IntermediateCA string
	Nodes          []Node
}

// Node is one desired node.
type Node struct {
	ID       NodeID
	Attestor Attestor
	// CredTTL is how long a credential is valid; above 0.
	CredTTL time.Duration
	// RenewBefore is how long before its end a credential is renewed; above 0
	// and strictly shorter than CredTTL.
	RenewBefore time.Duration
	Roles       []string
}

// Nodes yields the desired nodes in inventory order: region by region, each in
// the order of the file.
func (inv *Inventory) Nodes() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for r := range inv.Regions {
			nodes := inv.Regions[r].Nodes
			for n := range nodes {
				if !yield(&nodes[n]) {
					return
				}
			}
		}
	}
}

// Len is the number of desired nodes.
func (inv *Inventory) Len() int {
	n := 0
	for r := range inv.Regions {
		n += len(inv.Regions[r].Nodes)
	}
	return n
}

// Find returns the desired node with the given id, or nil. It scans; callers
// that look up many nodes build an index.
func (inv *Inventory) Find(id NodeID) *Node {
	for n := range inv.Nodes() {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// RegionOf returns the region that the node stands in, or nil. It scans, as Find does.
func (inv *Inventory) RegionOf(id NodeID) *Region {
	for r := range inv.Regions {
		for n := range inv.Regions[r].Nodes {
			if inv.Regions[r].Nodes[n].ID == id {
				return &inv.Regions[r]
			}
		}
	}
	return nil
}

// RegionNamed returns the region with that name that has an intermediate, else
// the first of that name, or nil. Regions of one name share their intermediate.
func (inv *Inventory) RegionNamed(name string) (found *Region) {
	for r := range inv.Regions {
		region := &inv.Regions[r]
		if region.Name == name && (found == nil || found.IntermediateCA == "") {
			found = region
		}
	}
	return found
}

// ObservedNode is what the log says of one node.
type ObservedNode struct {
	ID NodeID `json:"id"`
	// Present says that the node's lease is running.
	Present bool `json:"present"`
	// CanSign says that the node proved possession of a credential that has
	// neither expired nor been revoked.
	CanSign bool `json:"can_sign"`
}

// ObservedState is the fleet as the log tells it. The order of Nodes is the
// order in which they were first seen; it decides the order of decommissions.
// No id stands twice.
type ObservedState struct {
	Nodes          []ObservedNode `json:"nodes"`
	StrictEnforced bool           `json:"strict_enforced"`
}

// Counts is how many nodes are present and how many can sign.
func (o *ObservedState) Counts() (present, signing int) {
	for i := range o.Nodes {
		if o.Nodes[i].Present {
			present++
		}
		if o.Nodes[i].CanSign {
			signing++
		}
	}
	return present, signing
}
