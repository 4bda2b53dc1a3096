package inventory

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readTestdata(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// largeFile has n nodes in regions of 1,000.
func largeFile(n int) []byte {
	var b bytes.Buffer
	b.WriteString("trust_domain: fleet.example\nquorum: {width: 2}\nenforcement: {require_sig: true}\nregions:\n")
	for i := range n {
		if i%1000 == 0 {
			fmt.Fprintf(&b, "  - name: r%d\n    nodes:\n", i/1000)
		}
		fmt.Fprintf(&b, "      - id: node-%d\n        attestor: mtls-cert\n        cred_ttl: 1h\n        renew_before: 15m\n", i)
	}
	return b.Bytes()
}

func TestParseReadsTenThousandNodes(t *testing.T) {
	inv, rep := Parse(largeFile(10_000))
	if !rep.Valid() || inv.Len() != 10_000 || len(rep.Warnings) != 0 {
		t.Fatalf("%v", rep)
	}
}

func TestAliasesCannotMakeASmallFileLarge(t *testing.T) {
	const many = 2_000
	node := "  - &n {id: a, attestor: mtls-cert, cred_ttl: 1h, renew_before: 5m}\n"
	file := "trust_domain: t\nquorum: {width: 1}\nregions:\n- name: r\n  nodes: &ns\n" + node +
		strings.Repeat("  - *n\n", many) + strings.Repeat("- {name: r, nodes: *ns}\n", many)
	start := time.Now()
	inv, rep := Parse([]byte(file))
	if inv != nil || len(rep.Errors) == 0 {
		t.Fatal("must be refused")
	}
	found := false
	for _, p := range rep.Errors {
		found = found || strings.HasPrefix(p.Message, "aliases make the document far larger")
	}
	if limit := aliasBudget([]byte(file)); !found || len(rep.Errors) > limit+many+2 {
		t.Errorf("%d errors for %d bytes, budget named: %v", len(rep.Errors), len(file), found)
	}
	t.Logf("%d bytes, %d problems, %v", len(file), len(rep.Errors), time.Since(start))
}

func TestSharedRolesOfManyNodesAreFine(t *testing.T) {
	file := strings.Replace(string(largeFile(5_000)), "mtls-cert\n", "mtls-cert\n        roles: &roles [a, b, c, d]\n", 1)
	head, tail, _ := strings.Cut(file, "node-1\n")
	tail = strings.ReplaceAll(tail, "mtls-cert\n", "mtls-cert\n        roles: *roles\n")
	inv, rep := Parse([]byte(head + "node-1\n" + tail))
	if !rep.Valid() || len(inv.Find("node-4999").Roles) != 4 {
		t.Fatal(rep.Err())
	}
}

func TestReadReportsWhatCannotBeRead(t *testing.T) {
	data, inv, rep := Read(func() ([]byte, error) { return []byte("half"), fs.ErrNotExist })
	want := Report{Errors: []Problem{{Tag: TagIOError, Message: "read inventory: file does not exist"}}}
	if diff := cmp.Diff(want, rep); diff != "" || inv != nil || data != nil {
		t.Errorf("data %q, inventory %v, report (-want +got):\n%s", data, inv, diff)
	}
	data, inv, rep = Read(func() ([]byte, error) { return os.ReadFile("testdata/valid/smallest.yaml") })
	if inv == nil || !rep.Valid() || !strings.HasPrefix(string(data), "trust_domain") {
		t.Errorf("data %q, inventory %v, report %v", data, inv, rep)
	}
}

func TestDigestIsOfTheRawBytes(t *testing.T) {
	const ofNothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := Digest(nil); got != ofNothing {
		t.Errorf("Digest(nil) = %s", got)
	}
	if Digest([]byte("a: 1")) == Digest([]byte("a: 1\n")) {
		t.Error("a line end must change the digest")
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "../../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			f.Add(readTestdata(f, name))
		}
	}
	for _, seed := range []string{"", "---\n---\n", "a: &a [*a]\n", "<<: *x", "{[a]: b, ? : }", "regions: [&r {name: x, nodes: [*r]}]", "\ufeff{}", "!!bool x", "quorum: {width: 1e400}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		inv, rep := Parse(data)
		if (inv == nil) == rep.Valid() {
			t.Fatalf("inventory %v with %d errors", inv, len(rep.Errors))
		}
		last, lines := 0, bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+bytes.Count(data, []byte("\u0085"))+bytes.Count(data, []byte("\u2028"))+bytes.Count(data, []byte("\u2029"))+2
		for _, p := range rep.Errors {
			if p.Line < max(last, 1) || p.Line > lines || p.Tag == "" || p.Message == "" {
				t.Fatalf("after line %d of %d: %+v", last, lines, p)
			}
			last = p.Line
		}
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		again, rep2 := Parse(data)
		if !cmp.Equal(inv, again) || !cmp.Equal(rep, rep2) {
			t.Fatal("the same bytes gave two answers")
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			data := largeFile(n)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, rep := Parse(data); !rep.Valid() {
					b.Fatal(rep.Err())
				}
			}
		})
	}
}
