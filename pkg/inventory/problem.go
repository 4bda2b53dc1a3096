package inventory

import (
	"fmt"
	"strings"
)

// The tags of errors. They are stable: a program may branch on them.
const (
	// TagParseError: not readable as the YAML that the schema asks for.
	TagParseError = "inventory_parse_error"
	// TagIOError: the bytes could not be had at all.
	TagIOError = "inventory_io_error"
	// TagEmptyTrustDomain: trust_domain is left out or blank.
	TagEmptyTrustDomain = "inventory_empty_trust_domain"
	// TagEmptyRegionName: a region's name is left out or blank.
	TagEmptyRegionName = "inventory_empty_region_name"
	// TagInvalidNodeID: an id is left out or breaks the id rule.
	TagInvalidNodeID = "inventory_invalid_node_id"
	// TagInvalidDuration: a duration is left out, zero, or breaks the duration rule.
	TagInvalidDuration = "inventory_invalid_duration"
	// TagRenewBeforeNotShorter: renew_before is not strictly shorter than cred_ttl.
	TagRenewBeforeNotShorter = "inventory_renew_before_not_shorter"
	// TagDuplicateNodeID: an id stands twice, in the same region or in two.
	TagDuplicateNodeID = "inventory_duplicate_node_id"
	// TagInvalidQuorumWidth: quorum.width is left out or not an integer of at least 1.
	TagInvalidQuorumWidth = "inventory_invalid_quorum_width"
)

// The tags of warnings, as stable as those of errors.
const (
	// TagDuplicateRegionName: two regions bear the same name.
	TagDuplicateRegionName = "inventory_duplicate_region_name"
	// TagQuorumWidthAboveNodes: more signing nodes must remain than are desired.
	TagQuorumWidthAboveNodes = "inventory_quorum_width_above_nodes"
	// TagNoNodes: no node is desired, so that every observed one is decommissioned.
	TagNoNodes = "inventory_no_nodes"
	// TagEnforcementMissing: enforcement.require_sig is left out, which means
	// "relax" to a fleet that is strict.
	TagEnforcementMissing = "inventory_enforcement_missing"
	// TagCredTTLTooShort: no credential with this cred_ttl ever counts, so that
	// none is issued.
	TagCredTTLTooShort = "inventory_cred_ttl_too_short"
	// TagTrustDomainNotSPIFFE: no SPIFFE id can be made with this trust domain.
	TagTrustDomainNotSPIFFE = "inventory_trust_domain_not_spiffe"
)

// Problem is one thing that a person has to look at.
type Problem struct {
	// Tag is the stable name of the kind of problem.
	Tag string `json:"tag"`
	// Path leads to the value, such as regions[0].nodes[2].cred_ttl; empty when
	// the problem is about the file as a whole.
	Path string `json:"path"`
	// Line counts from 1; 0 when the problem is not about a line.
	Line int `json:"line"`
	// Message is one sentence in lower case without path and line.
	Message string `json:"message"`
}

// String puts the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	fmt.Fprintf(&b, "%s [%s]", p.Message, p.Tag)
	return b.String()
}

// Report is everything that was found wrong with, or odd about, one file. Both
// lists are in the order of their lines.
type Report struct {
	// Errors stand in the way of an inventory.
	Errors []Problem `json:"errors"`
	// Warnings do not.
	Warnings []Problem `json:"warnings"`
}

// Valid says that there are no errors; warnings may remain.
func (r Report) Valid() bool { return len(r.Errors) == 0 }

// Err returns the errors as one *Error, or nil when the report is valid.
func (r Report) Err() error {
	if r.Valid() {
		return nil
	}
	return &Error{Problems: r.Errors}
}

// Error carries every error of one file.
type Error struct {
	Problems []Problem
}

// Error lists every problem on a line of its own.
func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Problems) == 1 {
		b.WriteString("inventory has 1 problem")
	} else {
		fmt.Fprintf(&b, "inventory has %d problems", len(e.Problems))
	}
	for _, p := range e.Problems {
		b.WriteString("\n  ")
		b.WriteString(p.String())
	}
	return b.String()
}
