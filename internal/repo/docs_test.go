package repo

import (
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// commands are the two that must be enough on a fresh machine.
var commands = []string{
	"go run ./cmd/fleetfold up --inventory examples/three-nodes.yaml --until-converged",
	"make test",
}

func TestReadmeNamesCommandsThatExist(t *testing.T) {
	readme, makefile := read(t, "README.md"), read(t, "Makefile")
	for _, c := range commands {
		if !slices.Contains(codeLines(readme), c) {
			t.Errorf("README.md has no line of code %q", c)
		}
	}
	for _, needed := range []string{"examples/three-nodes.yaml", "cmd/fleetfold/main.go", "deploy/nats-server.conf"} {
		if _, err := os.Stat(filepath.Join(root, needed)); err != nil {
			t.Errorf("README.md speaks of what is not there: %v", err)
		}
	}
	target := regexp.MustCompile(`^make ([a-z-]+)`)
	for _, line := range codeLines(readme + read(t, "CONTRIBUTING.md")) {
		if m := target.FindStringSubmatch(line); m != nil && !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("%q is no target of the Makefile", line)
		}
	}
	if !strings.Contains(read(t, ".ci/run"), "make test\n") {
		t.Error(".ci/run does not run the test command of README.md")
	}
}

// A newcomer finds each folder of code in ARCHITECTURE.md, by itself or by the
// folder it lies in.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	named := map[string]bool{}
	for _, m := range link.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1) {
		named[m[1]] = true
	}
	missing := map[string]bool{}
	for _, s := range sources(t) {
		room := s.dir
		for room != "." && !named[room] {
			room = path.Dir(room)
		}
		if room == "." {
			missing[s.dir] = true
		}
	}
	for dir := range missing {
		t.Errorf("ARCHITECTURE.md says nothing of %s", dir)
	}
}

// codeLines are the lines of fenced code, without a prompt and a comment behind them.
func codeLines(markdown string) (lines []string) {
	inside := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside
		case inside:
			line, _, _ = strings.Cut(strings.TrimPrefix(line, "$ "), " #")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksOfDocumentsResolve(t *testing.T) {
	walk(t, func(file string) {
		if path.Ext(file) != ".md" || strings.Contains(file, "testdata/") {
			return
		}
		for _, m := range link.FindAllStringSubmatch(withoutCode(read(t, file)), -1) {
			target, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: link %q: %v", file, m[1], err)
				continue
			}
			if target.Scheme != "" {
				continue // other sites cannot be asked by a test
			}
			checkLink(t, file, target)
		}
	})
}

func checkLink(t *testing.T, from string, target *url.URL) {
	t.Helper()
	to := from
	if target.Path != "" {
		to = path.Join(path.Dir(from), target.Path)
	}
	if _, err := os.Stat(filepath.Join(root, to)); err != nil {
		t.Errorf("%s: link %q leads nowhere", from, target)
		return
	}
	if target.Fragment != "" && !slices.Contains(anchors(read(t, to)), target.Fragment) {
		t.Errorf("%s: link %q: %s has no such heading", from, target, to)
	}
}

// anchors are the names that GitHub gives the headings.
func anchors(markdown string) (names []string) {
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for line := range strings.Lines(withoutCode(markdown)) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			name := drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return names
}

// withoutCode takes out fenced code, where brackets are no links and # no heading.
func withoutCode(markdown string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(markdown, "")
}

// maxFileBytes keeps a clone small: what is larger is made by a program.
const maxFileBytes = 512 << 10

// large may be larger all the same.
var large = map[string]string{
	"pkg/engine/testdata/corpus/reconcile.jsonl": "the reference's answers, which nobody here can make again",
}

func TestFilesAreSmall(t *testing.T) {
	for _, file := range tracked(t) {
		info, err := os.Lstat(filepath.Join(root, file))
		if err != nil {
			continue // removed here, not yet committed
		}
		if info.Size() > maxFileBytes && large[file] == "" {
			t.Errorf("%s has %d bytes, more than %d: keep it elsewhere, or say in this test why it is needed", file, info.Size(), maxFileBytes)
		}
	}
}

// tracked lists what git tracks; without git, as in an archive, every file.
func tracked(t *testing.T) (files []string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	list.Dir = root
	if out, err := list.Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	}
	walk(t, func(file string) { files = append(files, file) })
	return files
}
