import type { ActivationAnswer } from "../protocol/activation.js";

/** What a workflow worker returns for an activation, in place of an output. */
export class AnsweredActivation {
  readonly answer: ActivationAnswer;

  constructor(answer: ActivationAnswer) {
    this.answer = answer;
  }
}
