package fleet

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestTheIDRuleAccepts(t *testing.T) {
	for does, id := range map[string]string{
		"a plain name":                        "node-1",
		"a path":                              "region/nyc/node-1",
		"a SPIFFE ID":                         "spiffe://example.org/ns/prod",
		"colons":                              "host:dev-1:pid-9",
		"two slashes in a row":                "a//b",
		"a slash at the end":                  "a/",
		"a single dot":                        ".",
		"a dot in front of a slash":           "./a",
		"what looks like a flag":              "-rf",
		"one at sign":                         "@",
		"dots that do not touch":              "a.b.c",
		"every byte there is":                 "azAZ09_-:@./",
		"as many bytes as are allowed":        strings.Repeat("a", MaxNodeIDBytes),
		"a slash that does not come first":    "-/",
		"capital letters, which are not lost": "Node-A",
	} {
		if got, err := ParseNodeID(id); err != nil || string(got) != id {
			t.Errorf("%s: %q gives %q, %v", does, id, got, err)
		}
	}
}

// The rule is tried in a fixed order, so that one id always has one error.
func TestTheIDRuleRefuses(t *testing.T) {
	long := strings.Repeat("a", MaxNodeIDBytes+1)
	for does, c := range map[string]struct{ id, want string }{
		"nothing":                            {"", "is empty"},
		"a byte too many":                    {long, "is 129 bytes long"},
		"bytes are counted, not letters":     {strings.Repeat("é", 65), "is 130 bytes long"},
		"a space":                            {"a b", `" " at byte 1`},
		"a space in front, which stays":      {" a", `" " at byte 0`},
		"a space behind, which stays":        {"a ", `" " at byte 1`},
		"a letter beyond ASCII":              {"é", "at byte 0"},
		"a tilde":                            {"~/a", `"~" at byte 0`},
		"a backslash":                        {`a\b`, "at byte 1"},
		"a percent sign":                     {"a%2e", `"%" at byte 1`},
		"a plus sign":                        {"a+b", `"+" at byte 1`},
		"a control byte":                     {"a\x00", "at byte 1"},
		"a wildcard":                         {"a*", `"*" at byte 1`},
		"two dots alone":                     {"..", `contains ".."`},
		"two dots inside":                    {"a..b", `contains ".."`},
		"two dots as a step of a path":       {"foo/../bar", `contains ".."`},
		"a slash in front":                   {"/a", `begins with "/"`},
		"a slash alone":                      {"/", `begins with "/"`},
		"length before letters":              {long + "é", "bytes long"},
		"letters before dots":                {"..é", "at byte 2"},
		"dots before the slash in the front": {"/..", `contains ".."`},
	} {
		got, err := ParseNodeID(c.id)
		if got != "" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q gives %q, %v, want an error with %q", does, c.id, got, err, c.want)
		}
	}
}

func TestPhasesAreTheApplyOrder(t *testing.T) {
	for i, want := range []struct {
		action ActionType
		node   bool
	}{
		{EnrollNode, true}, {IssueCredential, true}, {DecommissionNode, true},
		{DisableStrictEnforcement, false}, {EnableStrictEnforcement, false},
	} {
		if got := want.action.Phase(); got != Phase(i+1) || ActionTypes[i] != want.action {
			t.Errorf("%s is of phase %d and listed as %s at %d", want.action, got, ActionTypes[i], i+1)
		}
		if got := want.action.ConcernsNode(); got != want.node {
			t.Errorf("%s concerns a node: %v", want.action, got)
		}
	}
	for _, unknown := range []ActionType{"", "enrollnode", "Reboot"} {
		if unknown.Phase() != 0 || unknown.ConcernsNode() {
			t.Errorf("%q is of phase %d", unknown, unknown.Phase())
		}
	}
}

func TestAPlanTellsWhatItHolds(t *testing.T) {
	one, two := Action{Type: EnrollNode, ID: "node-1"}, Action{Type: EnrollNode, ID: "node-2"}
	flip := Action{Type: EnableStrictEnforcement}
	plan := Plan{Actions: []Action{one, two, flip}}
	if plan.Empty() || !(Plan{}).Empty() {
		t.Error("empty is told wrong")
	}
	if got, want := plan.Counts(), map[ActionType]int{EnrollNode: 2, EnableStrictEnforcement: 1}; !maps.Equal(got, want) {
		t.Errorf("counts are %v, want %v", got, want)
	}
	for action, want := range map[Action]bool{
		one: true, flip: true, {Type: EnrollNode, ID: "node-3"}: false, {Type: DecommissionNode, ID: "node-1"}: false,
	} {
		if plan.Has(action) != want {
			t.Errorf("has %v: %v", action, !want)
		}
	}
}

func TestNodesCanBeCutShortAndFound(t *testing.T) {
	inv := Inventory{Regions: []Region{
		{Name: "nyc", Nodes: []Node{{ID: "b"}, {ID: "a"}}}, {Name: "empty"}, {Name: "ams", Nodes: []Node{{ID: "c"}}},
	}}
	var ids []NodeID
	for n := range inv.Nodes() {
		ids = append(ids, n.ID)
		if n.ID == "a" {
			break
		}
	}
	if !slices.Equal(ids, []NodeID{"b", "a"}) || inv.Len() != 3 {
		t.Errorf("nodes are %v of %d", ids, inv.Len())
	}
	if inv.Find("c") != &inv.Regions[2].Nodes[0] || inv.Find("d") != nil {
		t.Error("find gives another node than the inventory's own")
	}
}

func TestNodesAreCountedByWhatTheyAre(t *testing.T) {
	o := ObservedState{Nodes: []ObservedNode{{ID: "a", Present: true, CanSign: true}, {ID: "b", Present: true}, {ID: "c", Present: true, CanSign: true}, {ID: "d"}}}
	if present, signing := o.Counts(); present != 3 || signing != 2 {
		t.Errorf("%d present, %d signing, want 3 and 2", present, signing)
	}
}
