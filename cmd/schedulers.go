package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/core/sched"
)

func newSchedulers() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "schedulers [NAME]",
		Short: "list the scheduling algorithms, or describe one",
		Args:  wants(0, 1, "one name at most"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return sched.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			names := sched.Names()
			if len(args) == 1 {
				names = args
			}
			var entries []sched.Entry
			for _, name := range names {
				e, err := sched.Lookup(name)
				if err != nil {
					return input(err)
				}
				entries = append(entries, e)
			}
			w := c.OutOrStdout()
			switch {
			case asJSON:
				return describeJSON(w, entries)
			case len(args) == 1:
				return describe(w, entries[0])
			default:
				return listSchedulers(w, entries)
			}
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listSchedulers(w io.Writer, entries []sched.Entry) error {
	t := table.NewWriter()
	t.SetStyle(plain)
	for _, e := range entries {
		t.AppendRow(table.Row{e.Name, text.WrapSoft(e.Summary, 80)})
	}
	_, err := fmt.Fprintf(w, "%s\n\np2pfaas schedulers NAME says more.\n", t.Render())
	return err
}

func describe(w io.Writer, e sched.Entry) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", e.Name, e.Summary, text.WrapSoft(e.Doc, 100))
	if ps := e.Parameters(); len(ps) > 0 {
		t := table.NewWriter()
		t.SetStyle(plain)
		t.AppendHeader(table.Row{"parameter", "type", "default", "range", "meaning"})
		for _, p := range ps {
			def := p.Default
			if p.Required {
				def = "(required)"
			}
			kind := string(p.Type)
			if p.Unit != "" {
				kind += ", " + p.Unit
			}
			t.AppendRow(table.Row{p.Name, kind, def, bounds(p), text.WrapSoft(p.Doc, 60)})
		}
		fmt.Fprintf(&b, "\n%s\n", t.Render())
	}
	if len(e.Positional) > 0 {
		fmt.Fprintf(&b, "\nAs in P2PFaaS v1: parameters: [%s]\n", strings.Join(e.Positional, ", "))
	}
	fmt.Fprintf(&b, "\nSource: %s\n", text.WrapSoft(e.Source, 100))
	fmt.Fprintln(&b, "\nEvery algorithm also takes max_hops, on_failure and on_refusal (execute, next, fail), at_hop_limit (execute,\n"+
		"lose), probe_timeout and answer_timeout: what the engine does around it.")
	_, err := io.WriteString(w, b.String())
	return err
}

func bounds(p sched.Param) string {
	switch {
	case len(p.Choices) > 0:
		return strings.Join(p.Choices, ", ")
	case p.Min != "" && p.Max != "":
		return p.Min + " to " + p.Max
	case p.Min != "":
		return "at least " + p.Min
	case p.Max != "":
		return "at most " + p.Max
	}
	return ""
}

func describeJSON(w io.Writer, entries []sched.Entry) error {
	type one struct {
		Name, Summary, Doc, Source string
		Parameters                 []sched.Param
		Positional                 []string `json:",omitempty"`
	}
	all := make([]one, len(entries))
	for i, e := range entries {
		all[i] = one{e.Name, e.Summary, e.Doc, e.Source, e.Parameters(), e.Positional}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}

// plain is a table without a frame.
var plain = table.Style{Name: "plain", Box: table.StyleBoxDefault, Options: table.OptionsNoBordersAndSeparators,
	Format: table.FormatOptions{Header: text.FormatDefault}}
