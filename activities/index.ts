import type { HostSteps, TransferSteps } from './api.js';
import type { Deps } from './deps.js';
import { alarm } from './steps/alarm.js';
import { ask } from './steps/ask.js';
import { check } from './steps/check.js';
import { checkpoint } from './steps/checkpoint.js';
import { choose } from './steps/choose.js';
import { dump } from './steps/dump.js';
import { examine } from './steps/examine.js';
import { fetch } from './steps/fetch.js';
import { finish } from './steps/finish.js';
import { hook } from './steps/hook.js';
import { operate } from './steps/operate.js';
import { leave, part } from './steps/part.js';
import { prepare } from './steps/prepare.js';
import { prove } from './steps/prove.js';
import { prune } from './steps/prune.js';
import { push } from './steps/push.js';
import { repair } from './steps/repair.js';
import { confirm, seal } from './steps/seal.js';
import { shelter } from './steps/shelter.js';
import { start } from './steps/start.js';
import { stop } from './steps/stop.js';
import { store } from './steps/store.js';
import { swap } from './steps/swap.js';
import { turn } from './steps/turn.js';
import { verify } from './steps/verify.js';
import { warm } from './steps/warm.js';
import { watch } from './steps/watch.js';

/** The steps that must never wait; one worker of the host runs them. */
export function hostSteps(deps: Deps): HostSteps {
  return {
    alarm: alarm(deps),
    ask: ask(deps),
    check: check(deps),
    checkpoint: checkpoint(deps),
    choose: choose(deps),
    dump: dump(deps),
    examine: examine(deps),
    finish: finish(deps),
    hook: hook(deps),
    leave: leave(deps),
    part: part(deps),
    operate: operate(deps),
    prepare: prepare(deps),
    shelter: shelter(deps),
    start: start(deps),
    stop: stop(deps),
    swap: swap(deps),
    turn: turn(deps),
    watch: watch(deps),
  };
}

/** The steps that take long; a second worker of the host runs them, limited. */
export function transferSteps(deps: Deps): TransferSteps {
  return {
    confirm: confirm(deps),
    fetch: fetch(deps),
    prove: prove(deps),
    prune: prune(deps),
    push: push(deps),
    repair: repair(deps),
    seal: seal(deps),
    store: store(deps),
    verify: verify(deps),
    warm: warm(deps),
  };
}
