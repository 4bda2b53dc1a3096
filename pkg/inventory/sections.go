package inventory

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"gopkg.in/yaml.v3"
)

// One function for each level of the file, from the outside in. Each returns
// what it could read and goes on after a problem, so that all are found.

func (w *walk) inventory(root value) *fleet.Inventory {
	s, ok := w.section(root, "trust_domain", "root_ca", "regions", "quorum", "enforcement")
	if !ok {
		return nil
	}
	inv := &fleet.Inventory{
		TrustDomain: w.trustDomain(s),
		RootCA:      w.optionalText(s, "root_ca"),
		Regions:     w.regions(s),
		RequireSig:  w.requireSig(s),
	}
	var widthAt value
	inv.QuorumWidth, widthAt = w.quorumWidth(s)
	regionsAt, _ := s.get("regions")
	w.warnCounts(regionsAt, widthAt, inv.QuorumWidth)
	return inv
}

func (w *walk) trustDomain(s section) string {
	v, given := s.get("trust_domain")
	if !given {
		w.problem(TagEmptyTrustDomain, v, "trust_domain is required, such as fleet.example")
		return ""
	}
	text, ok := w.text(v)
	switch {
	case !ok:
	case strings.TrimSpace(text) == "":
		w.problem(TagEmptyTrustDomain, v, "trust_domain is blank")
	default:
		w.warnTrustDomain(v, text)
	}
	return text
}

func (w *walk) regions(s section) []fleet.Region {
	w.countKnown = true
	v, given := s.get("regions")
	if !given {
		return nil
	}
	items, ok := w.items(v)
	w.countKnown = ok
	var regions []fleet.Region
	for i, item := range items {
		w.at.region = i
		regions = append(regions, w.region(item))
	}
	return regions
}

func (w *walk) region(v value) fleet.Region {
	s, ok := w.section(v, "name", "intermediate_ca", "nodes")
	if !ok {
		w.countKnown = false
		return fleet.Region{}
	}
	return fleet.Region{
		Name:           w.regionName(s),
		IntermediateCA: w.optionalText(s, "intermediate_ca"),
		Nodes:          w.nodeList(s),
	}
}

func (w *walk) regionName(s section) string {
	v, given := s.get("name")
	if !given {
		w.problem(TagEmptyRegionName, v, "a region's name is required")
		return ""
	}
	text, ok := w.text(v)
	switch {
	case !ok:
	case strings.TrimSpace(text) == "":
		w.problem(TagEmptyRegionName, v, "the region's name is blank")
	default:
		w.warnRegionName(v, text)
	}
	return text
}

func (w *walk) nodeList(s section) []fleet.Node {
	v, given := s.get("nodes")
	if b := w.blocks[v.node]; b != nil {
		w.nodes += b.items
		return w.pieces(b, v.path)
	}
	if !given {
		return nil
	}
	items, ok := w.items(v)
	if !ok {
		w.countKnown = false
	}
	w.nodes += len(items)
	var nodes []fleet.Node
	for i, item := range items {
		w.at.node = i
		nodes = append(nodes, w.node(item))
	}
	return nodes
}

func (w *walk) node(v value) fleet.Node {
	s, ok := w.section(v, "id", "attestor", "cred_ttl", "renew_before", "roles")
	if !ok {
		return fleet.Node{}
	}
	n := fleet.Node{ID: w.nodeID(s), Attestor: w.attestor(s), Roles: w.roles(s)}
	ttl, ttlOK := w.duration(s, "cred_ttl")
	if ttlOK {
		at, _ := s.get("cred_ttl")
		w.warnCredTTL(at, ttl)
	}
	renew, renewOK := w.duration(s, "renew_before")
	if ttlOK && renewOK && renew >= ttl {
		at, _ := s.get("renew_before")
		w.problem(TagRenewBeforeNotShorter, at, "renew_before (%s) must be shorter than cred_ttl (%s)", renew, ttl)
	}
	n.CredTTL, n.RenewBefore = ttl, renew
	return n
}

func (w *walk) nodeID(s section) fleet.NodeID {
	v, given := s.get("id")
	if !given {
		w.problem(TagInvalidNodeID, v, "a node's id is required")
		return ""
	}
	text, ok := w.text(v)
	if !ok {
		return ""
	}
	id, err := fleet.ParseNodeID(text)
	if err != nil {
		w.problem(TagInvalidNodeID, v, "%v", err)
		return ""
	}
	if first, twice := w.firstID[id]; twice {
		w.problem(TagDuplicateNodeID, v, "node id %s is given twice, first on line %d at %s", quote(text), first.line, first.path())
		return id
	}
	w.firstID[id] = w.spot(v.line)
	return id
}

func (w *walk) attestor(s section) fleet.Attestor {
	known := []string{string(fleet.AttestorMTLSCert), string(fleet.AttestorNodePlugin)}
	v, given := s.get("attestor")
	if !given {
		w.problem(TagParseError, v, "attestor is required: %s", strings.Join(known, " or "))
		return ""
	}
	text, ok := w.text(v)
	if ok && !slices.Contains(known, text) {
		w.problem(TagParseError, v, "attestor must be %s, not %s%s", strings.Join(known, " or "), quote(text), didYouMean(text, known))
	}
	return fleet.Attestor(text)
}

func (w *walk) roles(s section) []string {
	v, given := s.get("roles")
	if !given {
		return nil
	}
	items, _ := w.items(v)
	var roles []string
	for _, item := range items {
		if role, ok := w.text(item); ok {
			roles = append(roles, role)
		}
	}
	return roles
}

// duration reads a required duration above 0.
func (w *walk) duration(s section, key string) (time.Duration, bool) {
	v, given := s.get(key)
	if !given {
		w.problem(TagInvalidDuration, v, "%s is required, such as 15m", key)
		return 0, false
	}
	if isNumber(v.node) {
		w.problem(TagInvalidDuration, v, "duration %s has no unit: write s, m, h, d or w after the number", cut(v.node.Value))
		return 0, false
	}
	text, ok := w.text(v)
	if !ok {
		return 0, false
	}
	d, err := ParseDuration(text)
	if err == nil && d > 0 {
		return d, true
	}
	if err != nil {
		w.problem(TagInvalidDuration, v, "%v", err)
	} else {
		w.problem(TagInvalidDuration, v, "duration %s must be above 0", quote(text))
	}
	return 0, false
}

// quorumWidth is 0 when there is no valid width.
func (w *walk) quorumWidth(s section) (int, value) {
	v, given := s.get("quorum")
	if !given {
		v.path = join(v.path, "width")
		w.problem(TagInvalidQuorumWidth, v, "quorum.width is required: an integer of at least 1")
		return 0, v
	}
	quorum, ok := w.section(v, "width")
	if !ok {
		return 0, v
	}
	v, given = quorum.get("width")
	switch {
	case !given:
		w.problem(TagInvalidQuorumWidth, v, "quorum.width is required: an integer of at least 1")
	case !isNumber(v.node):
		w.wrongType(v, "an integer")
	default:
		return w.width(v), v
	}
	return 0, v
}

// width takes plain decimal digits only: YAML versions differ on whether 010 is
// ten or eight, and nobody writes a width as 0x2 or 1_0.
func (w *walk) width(v value) int {
	text := v.node.Value
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text || n < 1 {
		w.problem(TagInvalidQuorumWidth, v, "quorum.width must be a plain integer of at least 1, not %s", cut(text))
		return 0
	}
	return n
}

func (w *walk) requireSig(s section) bool {
	v, given := s.get("enforcement")
	if !given {
		w.warnPermissive(v)
		return false
	}
	enforcement, ok := w.section(v, "require_sig")
	if !ok {
		return false
	}
	v, given = enforcement.get("require_sig")
	if !given {
		w.warnPermissive(v)
		return false
	}
	is, ok := asBool(v.node)
	if !ok {
		hint := ""
		if v.node.Kind == yaml.ScalarNode {
			hint = ": write true or false without quotes"
		}
		w.problem(TagParseError, v, "must be a boolean, not %s%s", describe(v.node), hint)
	}
	return is
}
