package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// ReadReport reads what `fleetfold bench -o json` wrote. It refuses fields that
// no report has, and results of rows that there are not: those were measured by
// another version, and would be shown under bounds that are not theirs.
func ReadReport(r io.Reader) (Report, error) {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	var report Report
	if err := decoder.Decode(&report); err != nil {
		return Report{}, fmt.Errorf("read results: %w", err)
	}
	rows := Rows()
	for _, result := range report.Results {
		known := func(row Row) bool { return row.Name == result.Name && row.Unit == result.Unit }
		if !slices.ContainsFunc(rows, known) {
			return Report{}, fmt.Errorf("no benchmark is named %q and counts in %q", result.Name, result.Unit)
		}
	}
	return report, nil
}

// Joined are the results of several reports in the order of the rows. Of a row
// that was measured more than once the last report counts. It fails where the
// machines differ, because a table names one.
func Joined(reports ...Report) (Report, error) {
	if len(reports) == 0 {
		return Report{}, nil
	}
	joined := Report{Machine: reports[0].Machine, Results: []Result{}}
	newest := make(map[string]Result)
	for _, report := range reports {
		if report.Machine != joined.Machine {
			return Report{}, fmt.Errorf("measured on different machines: %+v and %+v", joined.Machine, report.Machine)
		}
		for _, result := range report.Results {
			newest[result.Name] = result
		}
	}
	for _, row := range Rows() {
		if result, ok := newest[row.Name]; ok {
			joined.Results = append(joined.Results, result)
		}
	}
	return joined, nil
}

// Only are the results of the rows that the names choose, as Options.Names does.
func (r Report) Only(names []string) (Report, error) {
	o := Options{Names: names}
	if _, err := o.chosen(); err != nil {
		return Report{}, err
	}
	r.Results = slices.DeleteFunc(slices.Clone(r.Results), func(result Result) bool { return !o.wants(result.Name) })
	return r, nil
}
