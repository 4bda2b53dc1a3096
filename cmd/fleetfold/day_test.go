package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

var updateDay = flag.Bool("update-day", false, "write what the commands of docs/a-day.md say now into it")

// dayPage is a page of prose that is lived through: its commands are run, one
// after the other, against a real fleet, and must say what the page says.
//
//   - A block of yaml behind "<!-- file: NAME -->" is the content of a file.
//   - A block of console has commands behind "$ " and below each what it says.
//   - "<!-- agent: ID -->" starts the agent of a node, "<!-- kill: ID -->" kills it.
//   - "<!-- until: WORDS :: COMMAND -->" waits until the command says the words.
const dayPage = "../../docs/a-day.md"

// day is the fleet that the page tells of.
type day struct {
	*testing.T
	ctx     context.Context
	dir     string
	nats    string
	clients *attest.Local
	agents  map[string]*exec.Cmd
}

func TestADayIsAsThePageTells(t *testing.T) {
	page, err := os.ReadFile(dayPage)
	if err != nil {
		t.Fatal(err)
	}
	d := newDay(t)
	lived := d.live(strings.Split(string(page), "\n"))
	if *updateDay {
		if err := os.WriteFile(dayPage, []byte(strings.Join(lived, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func newDay(t *testing.T) *day {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: natsd.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	d := &day{T: t, ctx: ctx, dir: t.TempDir(), nats: server.URL(), agents: make(map[string]*exec.Cmd)}
	if d.clients, err = attest.OpenLocal(filepath.Join(d.dir, "clients"), nil); err != nil {
		t.Fatal(err)
	}
	// One removal is a planner's own to decide here; two are a person's.
	process(t, "planner", "--nats", d.nats, "--lease", "5s", "--lost-wait", "0s", "--removal-min", "1")
	process(t, "executor", "--nats", d.nats, "--driver", "wait", "--dir", filepath.Join(d.dir, "executor"), "--attest-ca", d.clients.File)
	return d
}

var (
	directive = regexp.MustCompile(`^<!-- (file|agent|kill|until): (.*) -->$`)
	fence     = regexp.MustCompile("^```(\\w*)$")
)

// live goes through the page and returns it with what was said today.
func (d *day) live(page []string) (lived []string) {
	file := ""
	for len(page) > 0 {
		line := page[0]
		lived, page = append(lived, line), page[1:]
		if m := directive.FindStringSubmatch(line); m != nil {
			if m[1] == "file" {
				file = m[2]
			} else {
				d.obey(m[1], m[2])
			}
			continue
		}
		m := fence.FindStringSubmatch(line)
		if m == nil || m[1] == "" {
			continue
		}
		end := slices.Index(page, "```")
		if end < 0 {
			d.Fatal("a block has no end")
		}
		block := page[:end]
		page = page[end:]
		switch m[1] {
		case "yaml":
			d.must(os.WriteFile(filepath.Join(d.dir, file), []byte(strings.Join(block, "\n")+"\n"), 0o600))
		case "console":
			block = d.console(block)
		}
		lived = append(append(lived, block...), page[0])
		page = page[1:]
	}
	return lived
}

func (d *day) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *day) obey(word, of string) {
	d.Helper()
	switch word {
	case "agent":
		folder := filepath.Join(d.dir, of)
		if _, err := os.Stat(folder); err != nil {
			d.must(d.clients.Equip(fleet.NodeID(of), folder))
		}
		d.agents[of] = process(d.T, "node-agent", "--nats", d.nats, "--id", of, "--dir", folder, "--lease", "5s")
	case "kill":
		d.must(d.agents[of].Process.Kill())
		_ = d.agents[of].Wait() // says that it was killed
	case "until":
		words, command, ok := strings.Cut(of, " :: ")
		if !ok {
			d.Fatalf("until %q has no command", of)
		}
		for said := ""; !strings.Contains(said, words); {
			if said = d.run(command); d.ctx.Err() != nil {
				d.Fatalf("%s never said %q:\n%s", command, words, said)
			}
		}
	}
}

// console runs the commands of a block.
func (d *day) console(block []string) (said []string) {
	d.Helper()
	for len(block) > 0 {
		command, ok := strings.CutPrefix(block[0], "$ ")
		if !ok {
			d.Fatalf("%q is no command", block[0])
		}
		end := len(block)
		if next := slices.IndexFunc(block[1:], func(l string) bool { return strings.HasPrefix(l, "$ ") }); next >= 0 {
			end = next + 1
		}
		now := strings.Split(strings.TrimRight(d.run(command), "\n"), "\n")
		if now[0] == "" && len(now) == 1 {
			now = nil
		}
		if diff := cmp.Diff(essence(block[1:end]), essence(now)); diff != "" && !*updateDay {
			d.Errorf("%s says something else than the page (-page +now); go test -run TestADayIsAsThePageTells -args -update-day writes it anew:\n%s", command, diff)
		}
		said = append(append(said, block[0]), now...)
		block = block[end:]
	}
	return said
}

func (d *day) run(command string) string {
	ctx, cancel := context.WithTimeout(d.ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "NATS_URL="+d.nats, "USER=kim", "LOGNAME=kim", "TZ=UTC", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if code := exitCode(err); code != 0 {
		out = append(out, fmt.Sprintf("[exit code %d]\n", code)...)
	}
	return somebody.ReplaceAllString(string(out), "kim@laptop")
}

// somebody is who runs the tests, and where.
var somebody = regexp.MustCompile(`[\w.-]+@[\w.-]+`)

// changing are parts of what commands say that are others each day.
var changing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\((now|[^()]* ago)\)`), "LATELY"},
	{regexp.MustCompile(`\bunder `), ""},
	{regexp.MustCompile(`\b[0-9a-f]{8,}\b`), "HEX"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{40,}=*`), "BASE64"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DATE"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`(\d+(\.\d+)?(h|ms|µs|m|s))+\b`), "TERM"},
	// Sequences, and what depends on which facts came together in one batch.
	{regexp.MustCompile(`\b(sequence|at|since|on|line)\s+\d+`), "$1 N"},
	{regexp.MustCompile(`TIME\s+\d+`), "TIME N"},
	{regexp.MustCompile(`^\s*\d+\s`), "N "},
	{regexp.MustCompile(`\(\d+\)`), "(N)"},
	{regexp.MustCompile(`\b\d+ (records|plans)\b`), "N $1"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// essence is what of lines stays the same from day to day. What happens side by
// side may stand in any order.
func essence(lines []string) (rest []string) {
	for _, l := range lines {
		for _, c := range changing {
			l = c.what.ReplaceAllString(l, c.by)
		}
		if l = strings.TrimSpace(l); l != "" {
			rest = append(rest, l)
		}
	}
	slices.Sort(rest)
	return rest
}
