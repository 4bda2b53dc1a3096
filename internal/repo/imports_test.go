package repo

import (
	"go/ast"
	"go/doc"
	"path"
	"slices"
	"strings"
	"testing"
)

// core is what decides. It must give the same answer to the same facts for ever.
var core = []string{"pkg/fleet", "pkg/index", "pkg/inventory", "pkg/events", "pkg/engine", "pkg/projection", "pkg/decide"}

// within is all of this module that a package of the core may import.
var within = map[string][]string{
	"pkg/fleet":      nil,
	"pkg/index":      {"pkg/fleet"},
	"pkg/inventory":  {"pkg/fleet"},
	"pkg/events":     {"pkg/fleet", "schemas"},
	"pkg/engine":     {"pkg/fleet", "pkg/index"},
	"pkg/projection": {"pkg/fleet", "pkg/events", "pkg/index"},
	"pkg/decide":     {"pkg/fleet", "pkg/index", "pkg/events", "pkg/engine", "pkg/projection"},
}

// ban forbids imports. A banned path stands for itself and all below it.
type ban struct {
	imports []string
	// in says which packages it concerns.
	in func(dir string) bool
	// but lists the packages, and what is below them, that may all the same.
	but []string
	// tests says that test files are bound too.
	tests   bool
	because string
}

var bans = []ban{
	{
		imports: []string{"os", "net", "syscall", "io/ioutil"}, in: isCore,
		because: "a decision that reads files, environment or network cannot be made again from the log alone",
	},
	{
		imports: []string{"math/rand", "crypto/rand"}, in: isCore,
		because: "the same facts must give the same plan, the same ids included",
	},
	{
		imports: []string{"context"}, in: isCore,
		because: "what cannot block needs nobody to cancel it",
	},
	{
		imports: []string{"log", "github.com/rs/zerolog"}, in: isCore,
		because: "the core's account of itself is its result: reasons, refusals, changes",
	},
	{
		imports: []string{"github.com/nats-io/nats.go", "github.com/synadia-io/orbit.go", "github.com/nats-io/jsm.go"},
		in:      everywhere, but: []string{"pkg/eventlog", "pkg/natsd", "internal/poison", "internal/bench/floor"}, tests: true,
		because: "one door to NATS: pkg/eventlog keeps its promises because nobody goes around it",
	},
	{
		imports: []string{"github.com/nats-io/nats.go"}, in: func(dir string) bool { return dir == "pkg/natsd" },
		because: "the server does not need the client; only its tests connect",
	},
	{
		imports: []string{"github.com/nats-io/nats-server"}, in: everywhere,
		but: []string{"pkg/natsd", "internal/repo", "internal/poison", "internal/bubble"}, tests: true,
		because: "agents and services must not carry a server; whoever embeds one takes pkg/natsd",
	},
	{
		imports: []string{"github.com/nats-io/jwt", "github.com/nats-io/nkeys"}, in: everywhere,
		but:     []string{"pkg/busconf", "internal/busdir"},
		because: "who may do what on the bus is said in one table, and tokens are made in one place; everybody else hands a file to the client",
	},
	{
		imports: []string{module + "/cmd"}, in: everywhere, tests: true,
		because: "programs stand at the end of every chain of imports",
	},
	{
		imports: []string{module + "/internal"}, in: under("pkg"),
		because: "packages for others to use must not depend on how our own commands are built",
	},
	{
		imports: []string{"go.uber.org/goleak"}, in: func(dir string) bool { return dir != "pkg/executor" },
		but: []string{"internal/leak"}, tests: true,
		because: "what an embedded server may leave behind is known to internal/leak; only pkg/executor's tests run none",
	},
	{
		imports: []string{module + "/internal/leak", module + "/internal/bubble"}, in: everywhere,
		because: "they are for tests",
	},
}

// openInternal may be imported from pkg/ all the same: it holds the names of
// log fields, constants only, so that all lines of a fleet's logs agree.
const openInternal = module + "/internal/field"

// serverClock may be imported by any test: it lets the embedded server run on
// the fake time of testing/synctest.
const serverClock = "github.com/nats-io/nats-server/v2/server/ats"

func everywhere(string) bool { return true }

func isCore(dir string) bool { return slices.Contains(core, dir) }

func under(parent string) func(string) bool {
	return func(dir string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }
}

// bannedBy returns the first ban that the import breaks.
func bannedBy(s source, imported string) *ban {
	for i, b := range bans {
		if s.test && !b.tests || !b.in(s.dir) || imported == openInternal || s.test && imported == serverClock {
			continue
		}
		if slices.ContainsFunc(b.but, func(dir string) bool { return under(dir)(s.dir) }) {
			continue
		}
		if slices.ContainsFunc(b.imports, func(banned string) bool { return under(banned)(imported) }) {
			return &bans[i]
		}
	}
	return nil
}

func TestImportsFlowOneWay(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			if b := bannedBy(s, imported); b != nil {
				t.Errorf("%s imports %s: %s", s.path, imported, b.because)
			}
			if own, ok := strings.CutPrefix(imported, module+"/"); ok && isCore(s.dir) && !s.test && !slices.Contains(within[s.dir], own) {
				t.Errorf("%s imports %s: %s may import only %q of this module, so that the core stays a straight line", s.path, own, s.dir, within[s.dir])
			}
		}
	}
}

// The bans are themselves tested: a ban that nothing can break guards nothing.
func TestBansBite(t *testing.T) {
	for _, c := range []struct {
		file, imported string
		banned         bool
	}{
		{"pkg/engine/a.go", "os", true},
		{"pkg/engine/a.go", "net/http", true},
		{"pkg/engine/a_test.go", "os", false},
		{"pkg/projection/a.go", "math/rand/v2", true},
		{"pkg/events/a.go", "github.com/rs/zerolog", true},
		{"pkg/decide/a.go", "os", true},
		{"pkg/fleet/a.go", "context", true},
		{"pkg/planner/a.go", "github.com/nats-io/nats.go/jetstream", true},
		{"pkg/planner/a_test.go", "github.com/nats-io/nats.go", true},
		{"pkg/eventlog/a.go", "github.com/nats-io/nats.go/jetstream", false},
		{"pkg/natsd/a.go", "github.com/nats-io/nats.go", true},
		{"pkg/natsd/a_test.go", "github.com/nats-io/nats.go", false},
		{"pkg/natsd/a.go", "github.com/nats-io/nats-server/v2/server", false},
		{"pkg/agent/a_test.go", "github.com/nats-io/nats-server/v2/server", true},
		{"internal/cli/a.go", module + "/cmd/planner", true},
		{"pkg/agent/a.go", module + "/internal/cli", true},
		{"pkg/agent/a.go", module + "/internal/field", false},
		{"cmd/planner/main.go", module + "/internal/cli", false},
		{"pkg/planner/a_test.go", "go.uber.org/goleak", true},
		{"pkg/executor/handlers/a_test.go", "go.uber.org/goleak", true},
		{"pkg/executor/a_test.go", "go.uber.org/goleak", false},
		{"pkg/planner/a_test.go", module + "/internal/leak", false},
		{"pkg/planner/a.go", module + "/internal/leak", true},
		{"pkg/agent/a.go", "os", false},
	} {
		s := source{path: c.file, dir: path.Dir(c.file), test: strings.HasSuffix(c.file, "_test.go")}
		if got := bannedBy(s, c.imported) != nil; got != c.banned {
			t.Errorf("%s imports %s: banned is %v, want %v", c.file, c.imported, got, c.banned)
		}
	}
}

// clockReads are the functions of package time that read a clock or wait for one.
var clockReads = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestCoreHasNeitherGoroutineNorClock(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !isCore(s.dir) {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: go statement: the core runs in its caller's goroutine, so that its order is the log's", s.at(n))
			case *ast.SelectorExpr:
				// Unlike a call, a selector also finds time.Now passed as a value.
				if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clockReads, n.Sel.Name) {
					t.Errorf("%s: time.%s: time is an input of the core, or a decision could not be made again", s.at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// A fold over a bus that does not begin with a snapshot reads the whole log, and
// nobody notices until the log is long.
func TestProgramsMakeTheirViewsInOneRoom(t *testing.T) {
	const (
		room   = "internal/cli/snapshots"
		doctor = "cmd/fleetfold/doctor_facts.go" // judges the log, and so reads all of it
		bench  = "internal/bench"                // measures that
	)
	made := 0
	for _, s := range sources(t) {
		if s.test || s.path == doctor || s.dir == bench || !under("cmd")(s.dir) && !under("internal")(s.dir) {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "New" && sel.Sel.Name != "Resume" {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "view" {
				if made++; s.dir != room {
					t.Errorf("%s: view.%s: take a view of %s, which begins with a snapshot", s.at(n), sel.Sel.Name, room)
				}
			}
			return true
		})
	}
	if made == 0 {
		t.Errorf("found no view at all, not even in %s: the test looks in the wrong place", room)
	}
}

func TestPackagesExplainThemselves(t *testing.T) {
	type room struct{ code, doc, kit, example bool }
	rooms := make(map[string]*room)
	for _, s := range sources(t) {
		if !under("pkg")(s.dir) {
			continue
		}
		r := rooms[s.dir]
		if r == nil {
			r = new(room)
			rooms[s.dir] = r
		}
		r.code = r.code || !s.test
		// A kit for tests, such as a contract suite, runs inside a test and nowhere else.
		r.kit = r.kit || !s.test && slices.Contains(s.imports, "testing")
		r.doc = r.doc || path.Base(s.path) == "doc.go" && s.syntax.Doc != nil
		if s.test {
			for _, e := range doc.Examples(s.syntax) {
				r.example = r.example || e.Output != "" || e.EmptyOutput
			}
		}
	}
	for dir, r := range rooms {
		if r.code && !r.doc {
			t.Errorf("%s has no package comment in doc.go: what does it promise, and what must its caller do?", dir)
		}
		if r.code && !r.kit && !r.example {
			t.Errorf("%s has no Example with an Output comment: how is it used?", dir)
		}
	}
}
