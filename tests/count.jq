# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From meson's testlog.json (jq -s): "PASSED FAILED SKIPPED". A program of cmocka or bats counts as the tests that it ran, any other as one. A program that
# went wrong has at least one failure, whatever it managed to print.

def total(pattern): [scan(pattern) | .[0] | tonumber] | add // 0;
def lines(pattern): [scan(pattern)] | length;

def count:
  ((.stdout // "") + "\n" + (.stderr // "")) as $text
  | if $text | test("(?m)^\\[=+\\] .*[0-9]+ test") then
      { passed: ($text | total("(?m)^\\[  PASSED  \\] ([0-9]+) test")),
        failed: ($text | total("(?m)^\\[  FAILED  \\] ([0-9]+) test\\(s\\), listed")),
        skipped: ($text | total("(?m)^\\[  SKIPPED \\] ([0-9]+) test\\(s\\), listed")) }
    elif $text | test("(?m)^1\\.\\.[0-9]+$") then
      { skipped: ($text | lines("(?m)^ok .* # skip")),
        passed: (($text | lines("(?m)^ok ")) - ($text | lines("(?m)^ok .* # skip"))),
        failed: ($text | lines("(?m)^not ok ")) }
    elif .result == "SKIP" then { passed: 0, failed: 0, skipped: 1 }
    else { passed: 1, failed: 0, skipped: 0 }
    end;

def is_good: .result == "OK" or .result == "SKIP" or .result == "EXPECTEDFAIL";

map((is_good) as $good | count | if $good or .failed > 0 then . else .failed = 1 | .passed = ([.passed - 1, 0] | max) end)
| "\(map(.passed) | add) \(map(.failed) | add) \(map(.skipped) | add)"
