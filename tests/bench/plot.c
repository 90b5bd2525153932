/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <math.h>

#include "plot.h"

#define PLOT_WIDTH 900
#define PLOT_HEIGHT 480
#define PLOT_LEFT 70 /* margins */
#define PLOT_RIGHT 230
#define PLOT_TOP 40
#define PLOT_BOTTOM 50
#define PLOT_TICKS 6

static const char *const plot_colours[PLOT_LINES_MAX] = {
        "#1b6ca8", "#d1495b", "#2e933c", "#8a4fff", "#e07a1f", "#444444", "#00a6a6", "#b5179e", "#7a6a2f", "#999999",
};

/* What is drawn, in the units of the data. */
struct plot_frame {
        bool x_is_log;
        double x_min;
        double x_max;
        double y_max;
};

static double plot_x(const struct plot_frame *frame, double x) {
        double part = frame->x_is_log ? log(x / frame->x_min) / log(frame->x_max / frame->x_min) : (x - frame->x_min) / (frame->x_max - frame->x_min);

        return PLOT_LEFT + part * (PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT);
}

static double plot_y(const struct plot_frame *frame, double y) {
        return PLOT_HEIGHT - PLOT_BOTTOM - y / frame->y_max * (PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM);
}

/* 1, 2 or 5 times a power of ten: about so many of them make up the range. */
static double plot_step(double range) {
        double power = pow(10, floor(log10(range / PLOT_TICKS))), step = range / PLOT_TICKS / power;

        return power * (step <= 1 ? 1 : step <= 2 ? 2 : step <= 5 ? 5 : 10);
}

static void plot_find_frame(const struct plot *plot, struct plot_frame *frame) {
        *frame = (struct plot_frame){ .x_is_log = plot->x_is_log, .x_min = INFINITY, .x_max = -INFINITY };
        for (size_t i = 0; i < plot->n_lines; i++)
                for (size_t j = 0; j < plot->lines[i].n; j++) {
                        struct plot_point point = plot->lines[i].points[j];

                        frame->x_min = fmin(frame->x_min, point.x);
                        frame->x_max = fmax(frame->x_max, point.x);
                        frame->y_max = fmax(frame->y_max, point.y);
                }
        if (!(frame->x_min < frame->x_max)) { /* nothing, or a single point */
                frame->x_min = isfinite(frame->x_min) ? frame->x_min : 1;
                frame->x_max = frame->x_min + 1;
        }
        if (!(frame->y_max > 0))
                frame->y_max = 1;
}

static void plot_draw_x_tick(FILE *out, const struct plot_frame *frame, double x) {
        double at = plot_x(frame, x);

        fprintf(out, "<path d=\"M%.1f %d V%d\" stroke=\"#dddddd\"/>\n", at, PLOT_TOP, PLOT_HEIGHT - PLOT_BOTTOM);
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>\n", at, PLOT_HEIGHT - PLOT_BOTTOM + 16, x);
}

static void plot_draw_x_axis(FILE *out, const struct plot_frame *frame) {
        double step = plot_step(frame->x_max - frame->x_min);

        if (frame->x_is_log) {
                for (double x = pow(10, ceil(log10(frame->x_min))); x <= frame->x_max; x *= 10)
                        plot_draw_x_tick(out, frame, x);
                return;
        }
        for (double x = ceil(frame->x_min / step) * step; x <= frame->x_max * (1 + 1e-9); x += step)
                plot_draw_x_tick(out, frame, x);
}

static void plot_draw_y_axis(FILE *out, const struct plot_frame *frame) {
        double step = plot_step(frame->y_max);

        for (double y = 0; y <= frame->y_max * (1 + 1e-9); y += step) {
                fprintf(out, "<path d=\"M%d %.1f H%d\" stroke=\"#dddddd\"/>\n", PLOT_LEFT, plot_y(frame, y), PLOT_WIDTH - PLOT_RIGHT);
                fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", PLOT_LEFT - 6, plot_y(frame, y) + 4, y);
        }
}

/* And its name, beside the drawing. */
static void plot_draw_line(FILE *out, const struct plot_frame *frame, const struct plot_line *line, size_t i) {
        int x = PLOT_WIDTH - PLOT_RIGHT + 16, y = PLOT_TOP + 10 + 20 * (int) i;

        fprintf(out, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"", plot_colours[i]);
        for (size_t j = 0; j < line->n; j++)
                fprintf(out, "%s%.1f,%.1f", j > 0 ? " " : "", plot_x(frame, line->points[j].x), plot_y(frame, line->points[j].y));
        fprintf(out, "\"/>\n<path d=\"M%d %d h24\" stroke-width=\"3\" stroke=\"%s\"/>\n", x, y, plot_colours[i]);
        fprintf(out, "<text x=\"%d\" y=\"%d\">%s</text>\n", x + 30, y + 4, line->title);
}

int plot_svg(FILE *out, const struct plot *plot) {
        struct plot_frame frame;

        plot_find_frame(plot, &frame);
        fprintf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"22\" font-size=\"15\">%s</text>\n",
                PLOT_WIDTH, PLOT_HEIGHT, PLOT_LEFT, plot->title);
        plot_draw_x_axis(out, &frame);
        plot_draw_y_axis(out, &frame);
        fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (PLOT_LEFT + PLOT_WIDTH - PLOT_RIGHT) / 2, PLOT_HEIGHT - 12, plot->x_title);
        fprintf(out, "<text transform=\"translate(18 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n", (PLOT_TOP + PLOT_HEIGHT - PLOT_BOTTOM) / 2,
                plot->y_title);
        for (size_t i = 0; i < plot->n_lines && i < PLOT_LINES_MAX; i++)
                plot_draw_line(out, &frame, &plot->lines[i], i);
        fprintf(out, "</svg>\n");
        return ferror(out) ? -EIO : 0;
}
