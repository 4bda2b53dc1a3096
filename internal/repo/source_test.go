package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/fleetfold/fleetfold"
)

// source is one Go file.
type source struct {
	path    string // from the root, with slashes
	dir     string // the package's folder, such as pkg/engine
	test    bool
	imports []string
	syntax  *ast.File
	files   *token.FileSet
}

func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.files.Position(n.Pos()).Line)
}

// sources parses every Go file of the repository, whatever its build tags.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	walk(t, func(file string) {
		if path.Ext(file) != ".go" || strings.Contains(file, "testdata/") {
			return
		}
		files := token.NewFileSet()
		syntax, err := parser.ParseFile(files, filepath.Join(root, file), nil, parser.ParseComments)
		if err != nil {
			t.Fatalf("parse %s: %v", file, err)
		}
		s := source{path: file, dir: path.Dir(file), test: strings.HasSuffix(file, "_test.go"), syntax: syntax, files: files}
		for _, spec := range syntax.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: import %s: %v", file, spec.Path.Value, err)
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
	})
	if len(all) == 0 {
		t.Fatal("found no Go files: the test looks in the wrong place")
	}
	return all
}

// walk calls f with each file, by its path from the root with slashes. Folders
// whose name begins with a dot and what builds leave behind are passed over.
func walk(t *testing.T, f func(file string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := entry.Name()
			if rel != "." && (strings.HasPrefix(base, ".") || base == "bin" || base == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		f(filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatalf("walk repository: %v", err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatalf("read %s: %v", file, err)
	}
	return string(text)
}
