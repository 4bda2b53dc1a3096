package listing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
)

// Formats are those that Parse knows, the default first.
var Formats = []string{"table", "wide", "json", "yaml", "jsonl", "template"}

// Format is a form of output. The zero Format is a table.
type Format struct {
	name string
	tmpl *template.Template
}

// Parse reads a format's name. A template is given behind it, as in
// template={{.ID}}, or by itself as tmpl.
func Parse(name, tmpl string) (Format, error) {
	name, inline, both := strings.Cut(name, "=")
	switch {
	case both && name != "template":
		return Format{}, fmt.Errorf("%s takes no value", name)
	case both && tmpl != "":
		return Format{}, errors.New("there are two templates")
	case both:
		tmpl = inline
	case name != "template" && tmpl != "":
		return Format{}, fmt.Errorf("a template goes with -o template, and not with -o %s", name)
	}
	known := false
	for _, f := range Formats {
		known = known || f == name
	}
	if !known {
		return Format{}, fmt.Errorf("%q is none of %s", name, strings.Join(Formats, ", "))
	}
	f := Format{name: name}
	if name != "template" {
		return f, nil
	}
	if tmpl == "" {
		return Format{}, errors.New("template needs a template, such as -o 'template={{.ID}}'")
	}
	var err error
	f.tmpl, err = template.New("template").Option("missingkey=error").Parse(tmpl)
	return f, err
}

// Name of the format.
func (f Format) Name() string {
	if f.name == "" {
		return Formats[0]
	}
	return f.name
}

// IsTable says that a person reads it.
func (f Format) IsTable() bool { return f.Name() == "table" || f.Name() == "wide" }

// Column is one column of a table.
type Column[T any] struct {
	Name string
	// Wide columns are left out of the table that is not wide.
	Wide bool
	Text func(T) string
}

// Write writes a list. JSON is one list, jsonl a line for each; a template is
// executed for each, and ends a line.
func Write[T any](w io.Writer, f Format, columns []Column[T], items []T) error {
	switch f.Name() {
	case "json":
		return render.JSON(w, append([]T{}, items...))
	case "yaml":
		return writeYAML(w, append([]T{}, items...))
	case "jsonl":
		return eachLine(w, items, lineJSON[T])
	case "template":
		return eachLine(w, items, func(item T) ([]byte, error) { return f.execute(item) })
	}
	if len(items) == 0 {
		return nil
	}
	columns = shown(f, columns)
	return table(w, append([][]string{header(columns)}, rows(columns, items)...))
}

func shown[T any](f Format, all []Column[T]) (columns []Column[T]) {
	for _, c := range all {
		if !c.Wide || f.Name() == "wide" {
			columns = append(columns, c)
		}
	}
	return columns
}

func header[T any](columns []Column[T]) (names []string) {
	for _, c := range columns {
		names = append(names, c.Name)
	}
	return names
}

func rows[T any](columns []Column[T], items []T) (rows [][]string) {
	for _, item := range items {
		var row []string
		for _, c := range columns {
			row = append(row, plain(c.Text(item)))
		}
		rows = append(rows, row)
	}
	return rows
}

// plain is one line that moves no cursor, whoever wrote it; "-" for nothing.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if text = strings.TrimSpace(text); text == "" {
		return "-"
	}
	return text
}

func cut(text string, width int) string {
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}

// leastLast is how narrow the last column gets on a narrow terminal.
const leastLast = 20

// table gives the last column what is left of a terminal's width, so that a row
// stays a line. Elsewhere nothing is cut.
func table(w io.Writer, rows [][]string) error {
	columns, _ := cli.TerminalSize(w)
	if last := len(rows[0]) - 1; columns > 0 {
		room := columns
		for i := range last {
			width := 0
			for _, row := range rows {
				width = max(width, utf8.RuneCountInString(row[i]))
			}
			room -= width + 2
		}
		for _, row := range rows {
			row[last] = cut(row[last], max(room, leastLast))
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush() // it keeps the first error of writing
}

func lineJSON[T any](item T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(item)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func eachLine[T any](w io.Writer, items []T, line func(T) ([]byte, error)) error {
	for _, item := range items {
		text, err := line(item)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// TemplateError says that a template does not fit what it was executed for.
type TemplateError struct{ Err error }

func (e *TemplateError) Error() string { return "execute template: " + e.Err.Error() }
func (e *TemplateError) Unwrap() error { return e.Err }

func (f Format) execute(item any) ([]byte, error) {
	var b bytes.Buffer
	if err := f.tmpl.Execute(&b, item); err != nil {
		return nil, &TemplateError{err}
	}
	return b.Bytes(), nil
}

// writeYAML takes the names of fields from their JSON form, in its order.
func writeYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return err
	}
	blockStyle(&node)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// blockStyle turns JSON's braces and quotes into lines. A quoted text stays
// quoted where it would read as something else.
func blockStyle(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode && len(n.Content) > 0 {
		n.Style = 0
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style = 0
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}
