// The review page's viewer: one component that owns the night's overview, the traces and every key.
//
// Streamlit calls `mount` when the component appears and again whenever its data changes. What is drawn is fetched straight
// from the app's own routes, so turning a page never waits for Streamlit.

import { ConnectionDialog } from "./connection_dialog.js";
import { EventLayer } from "./event_layer.js";
import { EventTable } from "./event_table.js";
import { FollowedScoring } from "./followed_scoring.js";
import { Overview } from "./overview.js";
import { Keyboard } from "./keyboard.js";
import { Navigation } from "./navigation.js";
import { Scoring } from "./scoring.js";
import { areCompared, epochsToReview, nextEpoch } from "./scoring_jumps.js";
import { SecondOpinion } from "./second_opinion.js";
import { Settings } from "./settings.js";
import { Toolbar } from "./toolbar.js";
import { Tour } from "./tour.js";
import { TracePanel } from "./trace_panel.js";
import { TraceStore } from "./trace_store.js";
import { Help } from "./help.js";
import { bytesFromBase64, element, fetchJson } from "./dom.js";
import { mounting } from "./mounting.js";

// Where each study was last looked at: coming back from another page goes on there.
const lastEpochs = new Map();
const POSITION_DELAY_MS = 300;
const LOADING_DELAY_MS = 150;
const UNSEEN_MS = 1500; // an epoch that has not come for so long is not scored blindly

export const mount = mounting((parent) => new Viewer(parent));

class Viewer {
  constructor(parent) {
    this.visit = 0;
    this.data = null;
    this.night = null;
    this.settings = new Settings();
    this.root = element("div", { className: "viewer", data: { sleepfm: "viewer", unsaved: "0" } });
    this.root.setAttribute("role", "application");
    this.root.setAttribute("aria-label", "Night overview and traces. Press ? for the keys.");
    this.keyboard = new Keyboard(this.root, this.settings, (action) => this.act(action));
    this.toolbar = new Toolbar(this.settings, (action) => this.act(action));
    this.overview = new Overview((epoch) => this.act({ go: epoch }), (action) => this.act(action));
    this.store = new TraceStore(() => this.navigation.wake(), (url, message) => this.failed(url, message));
    this.panel = new TracePanel(this.settings, (action) => this.act(action));
    this.events = new EventLayer(this.panel, (action) => this.act(action));
    this.table = new EventTable(this.events, (action) => this.act(action));
    this.tour = new Tour(this.root);
    this.help = new Help(this.settings, () => this.keyboard.focus(), () => this.tour.start());
    this.opinion = new SecondOpinion((action) => this.act(action));
    this.navigation = new Navigation((epoch) => this.show(epoch), (epoch) => this.asked(epoch));
    this.scoring = new Scoring(this.settings, this.forScoring());
    this.followed = new FollowedScoring((stages) => this.lowerChanged(stages));
    this.events.onChange(() => this.scoring.bar.showTool(this.events.isOn));
    this.connection = new ConnectionDialog(() => this.keyboard.focusUnlessTyping());
    this.simulated = element("div", { className: "simulated" });
    this.simulated.hidden = true;
    const parts = [
      this.toolbar, this.scoring, { root: this.simulated }, this.overview, this.opinion, this.panel, this.table, this.tour, this.help,
    ];
    this.root.append(this.keyboard.input, ...parts.map(({ root }) => root));
    parent.append(this.root);
    this.resize = new ResizeObserver(() => this.layout());
    this.resize.observe(this.root);
    this.resize.observe(this.panel.root); // its height also changes when the toolbar wraps
    const page = (parent.getRootNode().host ?? parent).closest(".stMainBlockContainer");
    if (page) this.resize.observe(page); // a notice above the viewer came or went
    this.onWindowResize = () => this.layout();
    window.addEventListener("resize", this.onWindowResize);
  }

  close() {
    this.store.close();
    this.opinion.close();
    this.scoring.close();
    this.followed.close();
    this.events.close();
    this.table.close();
    this.overview.close();
    this.resize.disconnect();
    window.removeEventListener("resize", this.onWindowResize);
    clearTimeout(this.positionTimer);
    clearTimeout(this.loadingTimer);
    this.navigation.close();
    this.keyboard.close();
    this.connection.close();
    this.root.remove();
  }

  /** Take over new data from Python; returns the number of this visit. */
  update({ data, setStateValue, setTriggerValue }) {
    this.visit += 1;
    this.setStateValue = setStateValue;
    this.setTriggerValue = setTriggerValue;
    const before = this.data;
    this.data = data;
    if (!before || before.study !== data.study || before.overview !== data.overview) {
      this.loadNight(before?.study === data.study);
    }
    this.overview.unscored = data.unscored;
    if (before && before.unscored !== data.unscored) this.overview.redraw();
    const moved = before && (before.study !== data.study || before.goto.nonce !== data.goto.nonce);
    if (moved && before.study === data.study && this.night) this.navigation.jump(data.goto.epoch);
    return this.visit;
  }

  async loadNight(keepPlace) {
    const { study, overview, theme, goto } = this.data;
    this.root.dataset.study = study;
    if (!keepPlace) {
      this.night = null;
      this.root.classList.remove("open");
      this.navigation.reset();
      delete this.root.dataset.drawnEpoch;
      this.panel.message("Opening the study …");
    }
    let night;
    try {
      night = await fetchJson(overview);
    } catch (error) {
      if (this.data.study === study) this.panel.message(error.message, () => this.loadNight(keepPlace));
      return;
    }
    if (this.data.study !== study || this.data.overview !== overview) return;
    decode(night);
    night.marked = night.to_review;
    night.stageNames = new Map(theme.stages.map(({ number, short }) => [number, short]));
    this.night = night;
    this.root.classList.add("open");
    this.settings.openNight(night);
    this.panel.open(night, theme);
    const { routes, why_not: why, event_sets: eventSets, joined } = this.data;
    this.scoring.open(night, theme, { route: routes.review, why, eventSets, joined });
    this.followed.open(night.scorings[1]?.review ?? null, { study, route: routes.review });
    this.events.open(night, this.scoring.document, theme);
    this.table.open(night, theme, { mayExport: this.data.may_export });
    this.overview.open(night, theme, this.data.routes.spectrogram, this.events);
    this.toolbar.open(night, theme);
    this.opinion.open(night, theme, this.data.routes.opinion);
    this.simulated.textContent = simulatedText(night);
    this.simulated.hidden = !this.simulated.textContent;
    this.simulated.classList.toggle("alarm", !night.simulated);
    this.layout();
    if (!night.montages.length) {
      this.panel.message("This recording has no signals that can be drawn.");
      return;
    }
    const key = `${study} ${goto.nonce}`;
    const place = keepPlace && this.navigation.epoch ? this.navigation.epoch : (lastEpochs.get(key) ?? goto.epoch);
    this.navigation.open(night.epochs, place);
    this.keyboard.focusUnlessTyping();
    this.tour.offer();
  }

  /** What a key, a button or a click asks for. */
  act(action) {
    if (action.say) this.panel.say(action.say);
    if (action.help) this.help.toggle();
    if (action.measure) this.panel.say(this.panel.caliper.toggle());
    if (action.escape) this.escape();
    if (this.night?.montages.length) {
      if (action.event) this.events.keys(action);
      if (action.at !== undefined) this.goToTime(action.at);
      if (action.table) this.toggleTable();
      if (action.select) this.scoring.drag(...action.select);
      if (action.selectTo) this.scoring.extendTo(action.selectTo);
      this.scoring.act(action);
      if (action.step) this.navigation.step(action.step, action.held);
      if (action.go !== undefined) this.navigation.jump(action.go === "last" ? this.night.epochs : action.go);
      if (action.page) this.turnPage(action.page, action.held);
      if (action.next) this.jumpTo(action.next, action.back);
      if (action.opinion) this.toggleOpinion();
      if (action.similar) this.goToSimilar();
      if (action.change) this.change(action.change, action.value);
    }
    if (action.refocus !== false) this.keyboard.focus();
  }

  change(name, value) {
    const said = this.settings.change(name, value, this.panel);
    if (said) this.panel.say(said);
    this.toolbar.refresh();
    this.panel.relayout();
    this.navigation.redraw();
  }

  /** Ask where else it looks like this: with the selected channel's modality, if there is one. */
  goToSimilar() {
    const { selected, traces } = this.settings;
    const modality = selected === null ? null : traces.get(selected).modality;
    clearTimeout(this.positionTimer); // told after the other page has begun, Streamlit would empty that one
    this.setTriggerValue("similar", { study: this.data.study, epoch: this.navigation.target, modality });
  }

  toggleOpinion() {
    this.opinion.toggle(this.navigation.target);
    this.toolbar.showOpinion(this.opinion.isOn);
  }

  /** One screenful forth or back; with 10 or 15 s on the screen that is a part of an epoch. */
  turnPage(direction, held) {
    const span = this.settings.span(this.night);
    if (span >= 30) {
      this.navigation.step(direction * Math.round(span / 30), held);
      return;
    }
    const parts = Math.round(30 / span);
    const part = this.settings.part + direction;
    if (part >= 0 && part < parts) {
      this.settings.part = part;
      this.navigation.redraw();
    } else if (this.navigation.target + direction >= 1 && this.navigation.target + direction <= this.night.epochs) {
      this.partAfterJump = direction > 0 ? 0 : parts - 1;
      this.navigation.jump(this.navigation.target + direction);
    }
  }

  /** Esc: what lies on top goes first. */
  escape() {
    if (this.help.isOpen) this.help.close();
    else if (this.scoring.escape() || this.events.keys({ event: "escape" })) return;
    else if (this.panel.endCaliper() || this.scoring.escape({ last: true })) return;
    else this.panel.select(null);
  }

  jumpTo(kind, back) {
    const { epoch, say } = nextEpoch(kind, this.night, this.navigation.target, { back });
    if (epoch) this.navigation.jump(epoch);
    this.panel.say(say);
  }

  /** Go where a time (s) is on the screen. */
  goToTime(seconds) {
    const epoch = Math.min(Math.floor(seconds / 30) + 1, this.night.epochs);
    const span = this.settings.span(this.night);
    const part = span < 30 ? Math.floor((seconds - (epoch - 1) * 30) / span) : 0;
    if (epoch === this.navigation.target) {
      this.settings.part = part;
      this.navigation.redraw();
    } else {
      this.partAfterJump = part;
      this.navigation.jump(epoch);
    }
  }

  toggleTable() {
    this.table.toggle();
    this.toolbar.showTable(this.table.isOpen);
    this.layout();
  }

  /** What the scoring needs of the viewer. */
  forScoring() {
    const { navigation, panel } = this;
    const viewer = this;
    return {
      get target() { return navigation.target; },
      get isSeen() { return viewer.isSeen(); },
      go: (epoch) => navigation.jump(epoch),
      step: () => navigation.step(1),
      say: (text) => panel.say(text),
      act: (action) => this.act(action),
      select: (selection) => this.overview.select(selection),
      changed: (change) => this.edited(change),
      stored: (unsaved) => { this.root.dataset.unsaved = String(unsaved); },
    };
  }

  /** Whether the epoch asked for is on the screen, or comes at once. */
  isSeen() {
    if (!this.panel.notice.hidden) return false;
    return !this.waiting || performance.now() - this.waiting.since < UNSEEN_MS;
  }

  /** The review has changed: what shows it follows with the next frame. */
  edited({ stages, events }) {
    const { document } = this.scoring;
    const { night } = this;
    if (events.length) night.events = document.eventList;
    const marks = night.to_review.length;
    if (stages.length || !night.compared) night.to_review = epochsToReview(night, document);
    if (!stages.length && !events.length && night.to_review.length === marks) return;
    if (stages.includes(this.navigation.epoch)) this.toolbar.showEpoch(this.navigation.epoch);
    this.overview.edited({ events: events.length > 0 });
  }

  /** Whoever scores what is shown below has gone on. */
  lowerChanged(stages) {
    const { night } = this;
    const wasCompared = night.compared;
    night.scorings[1].stages = stages;
    night.compared = areCompared(night);
    night.to_review = epochsToReview(night, this.scoring.document);
    if (this.navigation.epoch) this.toolbar.showEpoch(this.navigation.epoch);
    if (night.compared === wasCompared) this.overview.edited({ events: false });
    else this.overview.redraw();
  }

  asked(epoch) {
    this.root.dataset.epoch = String(epoch);
    this.settings.part = this.partAfterJump ?? 0;
    this.partAfterJump = undefined;
    clearTimeout(this.positionTimer);
    this.positionTimer = setTimeout(() => {
      const { study, goto } = this.data;
      lastEpochs.set(`${study} ${goto.nonce}`, epoch);
      this.setStateValue("place", { study, epoch });
    }, POSITION_DELAY_MS);
  }

  /** Draw an epoch if its pixels can be had now; false asks to be woken when its window has arrived. */
  show(epoch) {
    const view = this.settings.view(epoch, this.night);
    const request = (at) => this.panel.request(this.data.routes.window, this.data.study, at);
    const url = request(view);
    this.store.want(url, this.ahead(epoch, view).map(request));
    const windows = this.store.get(url);
    if (!windows) {
      this.waiting = { url, epoch, since: this.waiting?.epoch === epoch ? this.waiting.since : performance.now() };
      if (!this.loadingTimer) {
        this.loadingTimer = setTimeout(() => {
          this.loadingTimer = null;
          if (this.waiting) this.panel.busy(true);
        }, LOADING_DELAY_MS);
      }
      return false;
    }
    this.waiting = null;
    clearTimeout(this.loadingTimer);
    this.loadingTimer = null;
    this.panel.busy(false);
    this.panel.draw(epoch, view, windows);
    this.overview.moveCursor(epoch, view);
    this.toolbar.showEpoch(epoch);
    this.opinion.follow(epoch);
    this.root.dataset.drawnSpan = String(view.stop - view.start); // seconds on the screen
    this.root.dataset.drawnEpoch = String(epoch);
    return true;
  }

  /** The views likely to be asked for next, nearest first. */
  ahead(epoch, view) {
    const span = view.stop - view.start;
    if (span > 600) return [];
    const { direction, isHeld } = this.navigation;
    const views = [];
    const depth = Math.min(isHeld ? 8 : 3, Math.ceil(900 / span));
    for (let k = 1; k <= depth; k += 1) views.push(this.settings.neighbour(epoch, view, direction * k, this.night));
    views.push(this.settings.neighbour(epoch, view, -direction, this.night));
    return views.filter((other) => other !== null);
  }

  failed(url, message) {
    if (this.waiting?.url !== url) return;
    this.waiting = null;
    clearTimeout(this.loadingTimer);
    this.loadingTimer = null;
    this.panel.busy(false);
    this.navigation.stop();
    delete this.root.dataset.drawnEpoch;
    this.panel.message(message, () => {
      this.navigation.redraw();
      this.keyboard.focus();
    });
  }

  /** Fill the window below where the viewer starts, so that overview and traces fit one screen. */
  layout() {
    const top = this.root.getBoundingClientRect().top + scrolledBy(this.root);
    const height = Math.max(480, Math.floor(window.innerHeight - top - (this.data?.below ?? 0)));
    if (this.root.style.height !== `${height}px`) this.root.style.height = `${height}px`;
    if (!this.night) return;
    this.overview.relayout();
    if (this.panel.relayout()) this.navigation.redraw();
  }
}

function simulatedText(night) {
  const parts = night.simulated ? ["SIMULATED RECORDING: made by sleepfm simulate, nobody slept it"] : [];
  return [...parts, ...night.scorings.map(({ warning }) => warning).filter(Boolean)].join(" · ");
}

/** Turn the packed parts of an overview into arrays. */
function decode(night) {
  night.events ??= night.scorings[0].review.events;
  const [, lower] = night.scorings;
  if (lower?.review) lower.stages = lower.review.stages; // those of its version
  for (const scoring of night.scorings) {
    if (scoring.probabilities) scoring.probabilities = new Uint16Array(bytesFromBase64(scoring.probabilities).buffer);
  }
  for (const channel of night.quality?.channels ?? []) channel.flags = bytesFromBase64(channel.flags);
}

function scrolledBy(node) {
  let sum = 0;
  for (let at = node; at; at = at.parentNode ?? at.host) {
    if (at.host) at = at.host;
    sum += at.scrollTop ?? 0;
  }
  return sum;
}
