package inventory

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// whole is what reading the file as one tree says.
func whole(data []byte) (*fleet.Inventory, Report) {
	inv, rep := parseWhole(data)
	if !rep.Valid() {
		inv = nil
	}
	return inv, rep.sorted()
}

// sameAsWhole fails unless both ways give the same, to the letter. It says whether
// the file was read piece by piece.
func sameAsWhole(t interface {
	Helper()
	Errorf(string, ...any)
}, data []byte) (pieces bool) {
	t.Helper()
	inv, rep := Parse(data)
	wantInv, wantRep := whole(data)
	if diff := cmp.Diff(wantInv, inv); diff != "" {
		t.Errorf("inventory of %q (-whole +pieces):\n%s", data, diff)
	}
	if diff := cmp.Diff(wantRep, rep); diff != "" {
		t.Errorf("report on %q (-whole +pieces):\n%s", data, diff)
	}
	_, _, _, pieces = parsePieces(data, MaxWholeBytes)
	return pieces
}

func TestReadingByPiecesSaysWhatReadingTheWholeSays(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/*/*.yaml", "../../examples/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	count := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if sameAsWhole(t, data) {
			count++
		}
	}
	if count < 3 { // most have no node
		t.Errorf("%d of %d files are read piece by piece", count, len(files))
	}
}

// The ways to write a node, an item, and what stands around it, that people know
// or that would lead a reader of lines astray.
var (
	drawnScalars = []string{
		"a", "node-1", "n/1.x", "007", "1h", "15m", "15 minutes", "90", "0s", "2026-01-01", "0x1f", "0b1", "0o7", "1e3", "1_0", "1_0a", "550e8400-e29b", "12.", ".5", "-rf", "@", "true", "null", "~", "yes", "y", "<<",
		`"a"`, `'b'`, `"a\x41"`, `'it''s'`, `"é"`, "é", "a b", "a#b", "a #b", "a:b", "a: b", "[a]", "{a: b}", "!!str 7", "!x a", "&x a", "*x", "", `"open`, "'open", "[open", "|", ">-", "? a", "- a", "mtls-cert", "mtls-crt", "\tx", "a\t", "a\u0085b",
	}
	drawnKeys = []string{"id", "attestor", "cred_ttl", "renew_before", "roles", "role", "id ", `"id"`, "<<", "7"}
	drawnGood = map[string][]string{
		"attestor": {"mtls-cert", "node-plugin", `"mtls-cert"`}, "cred_ttl": {"1h", "'2 days'", "3d", "31s", "10s"}, "renew_before": {"15m", "1m", `"1 s"`, "1s"},
		"roles": {"[]", "[a]", "[a, 'b' ,c]", "[a,b]", "~"},
	}
	drawnNoise = []string{"", "", "", "", "# c", "   # c", "        # deep", "\n", "  \n", "---", "...", "%YAML 1.2", "\t", " x", "      - {id: z}", "   name: r2", "    - stray", "      nodes:", "  - nodes:", "quorum: {width: 1}", "\ufeff", "\r"}
)

// drawing writes a file, the odder the smaller rare is.
type drawing struct {
	t    *rapid.T
	rare int
}

// odd is no number at an end of its range: those are drawn more often.
func (d drawing) odd() bool { return rapid.IntRange(0, d.rare).Draw(d.t, "odd") == d.rare*2/3 }

// usually is the first, and in the odd case any of the others.
func (d drawing) usually(first string, others ...string) string {
	if d.odd() {
		return rapid.SampledFrom(others).Draw(d.t, "other")
	}
	return first
}

func (d drawing) oneOf(some ...string) string { return rapid.SampledFrom(some).Draw(d.t, "one") }

func (d drawing) value(key string, n int) string {
	switch good := drawnGood[key]; {
	case d.odd():
		return d.oneOf(drawnScalars...)
	case good != nil:
		return d.oneOf(good...)
	case key == "id":
		return fmt.Sprintf(d.oneOf("n%d", "rack/n-%d", `"%d"`, "'x%d'", "%da"), n)
	}
	return d.oneOf(drawnScalars...)
}

func (d drawing) item(indent string, n int) string {
	keys := []string{"id", "attestor", "cred_ttl", "renew_before"}
	if rapid.Bool().Draw(d.t, "with roles") {
		keys = append(keys, "roles")
	}
	if d.odd() {
		keys = rapid.SliceOfN(rapid.SampledFrom(drawnKeys), 0, 5).Draw(d.t, "odd keys")
	}
	if len(keys) == 0 {
		return indent + d.oneOf("-", "- ", "- {}", "- ~", "- a", "-a", "-\n"+indent+"  id: q") + "\n"
	}
	keys = rapid.Permutation(keys).Draw(d.t, "order")
	if rapid.Bool().Draw(d.t, "flow") {
		var parts []string
		for _, k := range keys {
			parts = append(parts, k+":"+d.usually(" ", "  ", "")+d.value(k, n))
		}
		return indent + "- {" + strings.Join(parts, d.usually(", ", ",", " , ", ",\n"+indent+"   ")) + "}" +
			d.usually("", " ", " # c", "#c", " x", "\n"+indent+"  # c", "\n"+indent+"  x: y", "\n") + "\n"
	}
	return d.lines(indent, keys, n)
}

func (d drawing) lines(indent string, keys []string, n int) string {
	var b strings.Builder
	lead := indent + "- "
	for _, k := range keys {
		fmt.Fprintf(&b, "%s%s:", lead, k)
		if k == "roles" && rapid.Bool().Draw(d.t, "a line for each") {
			column := indent + d.oneOf("  ", "    ", "   ")
			for range rapid.IntRange(1, 3).Draw(d.t, "roles") {
				fmt.Fprintf(&b, "\n%s- %s", d.usually(column, indent, indent+"  ", indent+" "), d.usually("r", drawnScalars...))
			}
		} else {
			b.WriteString(d.usually(" ", "  ", "") + d.value(k, n))
		}
		b.WriteString(d.usually("\n", " # c\n", "\n\n", "\n"+indent+"  # c\n", "\n# c\n", " \n", "\n"+indent+"    more\n"))
		lead = indent + "  "
	}
	return b.String()
}

func (d drawing) noise() string {
	if d.odd() {
		return d.oneOf(drawnNoise...) + "\n"
	}
	return ""
}

func drawFile(t *rapid.T) []byte {
	d := drawing{t, rapid.SampledFrom([]int{1000, 60, 20, 6}).Draw(t, "rare")}
	var b strings.Builder
	b.WriteString(d.usually("", "---\n", "# c\n", "\n", "%YAML 1.1\n---\n", "root_ca: \"x\n") + "trust_domain: t\nregions:\n")
	n := 0
	for region := range rapid.IntRange(1, 3).Draw(t, "regions") {
		b.WriteString(d.noise())
		key := d.usually("    nodes:\n", "    nodes: # c\n", "    nodes:   \n", "    nodes: &n\n", "    nodes: !!seq\n", "    \"nodes\":\n", "    nodes:\n# c\n", "    nodes: []\n", "    nodes: |\n")
		after := ""
		if name := fmt.Sprintf("name: r%d\n", region); rapid.Bool().Draw(t, "name first") {
			key = "  - " + name + key
		} else {
			key, after = "  - "+strings.TrimLeft(key, " "), "    "+name
		}
		b.WriteString(key)
		indent := d.oneOf("      ", "    ", "     ")
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			b.WriteString(d.item(d.usually(indent, "   ", "       "), n) + d.noise())
			if !d.odd() {
				n++
			}
		}
		b.WriteString(d.usually(after, "    intermediate_ca: x\n", "    name: late\n", "    nodes: []\n", "    nodes:\n      - {id: again}\n"))
	}
	b.WriteString(d.noise() + d.usually("quorum: {width: 1}\n", "quorum:\n  width: 1\nenforcement: {require_sig: true}\n", "quorum: {width: 0}", "", "---\nx: y\n", "nodes:\n  - a\n"))
	data := b.String()
	if d.odd() {
		data = data[:rapid.IntRange(0, len(data)).Draw(t, "length")]
	}
	return []byte(data)
}

func TestDrawnFilesReadByPiecesAsAsAWhole(t *testing.T) {
	files, pieces, valid := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		data := drawFile(t)
		files++
		if sameAsWhole(t, data) {
			pieces++
			if inv, _ := Parse(data); inv != nil && inv.Len() > 0 {
				valid++
			}
		}
	})
	if pieces < files/4 || valid < files/20 {
		t.Errorf("of %d files %d were read piece by piece, and %d of these are valid", files, pieces, valid)
	}
}

// A file that is too large to be read as a whole is read all the same, and what is
// wrong with it has its place; only what needs the whole is refused, with its place.
func TestAFileTooLargeForAWholeIsReadPieceByPiece(t *testing.T) {
	large := string(largeFile(2_000))
	parse := func(text string) (*fleet.Inventory, Report) { return parse([]byte(text), 64<<10) }
	inv, rep := parse(large)
	want, _ := whole([]byte(large))
	if diff := cmp.Diff(want, inv); diff != "" || !rep.Valid() {
		t.Fatalf("%v\n%s", rep.Err(), diff)
	}
	for _, c := range []struct{ says, old, new, want string }{
		{"a wrong value", "node-1999\n", "node-1998\n", "8005 duplicate_node_id regions[1].nodes[999].id"},
		{"a value that is none", "node-1500\n        attestor: mtls-cert", "node-1500\n        attestor: 'mtls", "6010 parse_error"},
		{"an anchor", "node-1500\n", "&a node-1500\n", "6009 parse_error"},
		{"a frame that is no YAML", "require_sig: true}", "require_sig: true", "3 parse_error"},
		{"a second document", "enforcement: {require_sig: true}\n", "enforcement: {require_sig: true}\n---\n", "4 parse_error"},
		{"nodes that are no list by lines", "    nodes:\n", "    nodes: !!seq\n", "1 parse_error"},
		{"a line end of another system", "quorum: {width: 2}\n", "quorum: {width: 2}\r\n", "2 parse_error"},
	} {
		inv, rep := parse(strings.Replace(large, c.old, c.new, -1))
		if got := summary(rep.Errors); inv != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %v", c.says, rep.Err())
		}
	}
}

func FuzzParsePieces(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			f.Add(readTestdata(f, file))
		}
	}
	f.Add(largeFile(2))
	f.Add([]byte("regions:\n- nodes:\n  - {id: a}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 16<<10 && !bytes.Contains(data, []byte("{{{{{{{{")) {
			sameAsWhole(t, data)
		}
	})
}
