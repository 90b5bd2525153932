# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From meson's testlog.json (jq -rs): "PASSED FAILED SKIPPED". A program of cmocka or bats counts as the tests that it ran, any other as one. A
# program that went wrong has at least one failure, whatever it managed to print.

def total(pattern): [scan(pattern) | .[0] | tonumber] | add // 0;
def lines(pattern): [scan(pattern)] | length;

def of_cmocka:
  { passed: total("(?m)^\\[  PASSED  \\] ([0-9]+) test"),
    failed: (total("(?m)^\\[  FAILED  \\] ([0-9]+) test\\(s\\), listed") + lines("(?m)^\\[  ERROR   \\] [a-z]")),
    skipped: total("(?m)^\\[  SKIPPED \\] ([0-9]+) test\\(s\\), listed") };

def of_bats:
  lines("(?m)^ok .* # skip") as $skipped
  | { passed: (lines("(?m)^ok ") - $skipped), failed: lines("(?m)^not ok "), skipped: $skipped };

def of_program:
  if .result == "OK" then { passed: 1, failed: 0, skipped: 0 }
  elif .result == "SKIP" then { passed: 0, failed: 0, skipped: 1 }
  else { passed: 0, failed: 1, skipped: 0 }
  end;

def count:
  ((.stdout // "") + "\n" + (.stderr // "")) as $text
  | if $text | test("(?m)^\\[=+\\] .*[0-9]+ test") then $text | of_cmocka
    elif $text | test("(?m)^1\\.\\.[0-9]+$") then $text | of_bats
    else of_program
    end;

map((.result == "OK" or .result == "SKIP") as $good | count
    | if $good | not then .failed = ([.failed, 1] | max)
      elif .failed > 0 then { passed: 1, failed: 0, skipped: 0 } # failures that it shows are those it was to find
      else . end)
| "\(map(.passed) | add) \(map(.failed) | add) \(map(.skipped) | add)"
