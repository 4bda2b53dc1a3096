package repo

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A promise is worth what the test behind it is: each row names a folder and a
// test that are there.
func TestPromisesNameTestsThatExist(t *testing.T) {
	tests := allTests(t)
	row := regexp.MustCompile("^\\| [^`|]+ \\| `([^`]+)` [^`|]+ \\| `([^`]+)` \\|$")
	text := read(t, "docs/promises.md")
	rows := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| guard |") {
			continue
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("docs/promises.md: this row has not the form guard, `folder` place, `test`: %s", line)
			continue
		}
		rows++
		if info, err := os.Stat(filepath.Join(root, m[1])); err != nil || !info.IsDir() {
			t.Errorf("docs/promises.md: there is no folder %s: %s", m[1], line)
		}
		if !tests[m[2]] {
			t.Errorf("docs/promises.md: there is no test %s: %s", m[2], line)
		}
	}
	if headings := len(regexp.MustCompile(`(?m)^## \d+ `).FindAllString(text, -1)); headings != 10 || rows < headings {
		t.Errorf("docs/promises.md has %d promises and %d rows", headings, rows)
	}
}

func allTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	for _, s := range sources(t) {
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests
}

// Nor does SECURITY.md claim an attack to be tried that is not.
func TestAttacksNameTestsThatExist(t *testing.T) {
	tests := allTests(t)
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(read(t, "SECURITY.md"), -1)
	for _, m := range named {
		if !tests[m[1]] {
			t.Errorf("SECURITY.md: there is no test %s", m[1])
		}
	}
	if len(named) < 20 {
		t.Errorf("SECURITY.md names %d tests", len(named))
	}
}
